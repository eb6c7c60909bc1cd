"""How much of a test of many rounds is done, and by which chance."""

import os
import random


def scaled(short, nightly):
    """`NIXBOX_NIGHTLY` (`just nightly`) asks for the full number."""
    return nightly if os.environ.get("NIXBOX_NIGHTLY") else short


def chance():
    """Says its seed, which pytest shows of a test that fails; `NIXBOX_SEED` gives it again."""
    seed = int(os.environ.get("NIXBOX_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"NIXBOX_SEED={seed}")
    return random.Random(seed)
