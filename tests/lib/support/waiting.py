import time


def eventually(condition, within=5.0, every=0.01, what="condition"):
    """The condition's first true value; a failed test when it stays false."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(every)
