"""Fixtures for every Python suite here, and the result lines that tests/run counts (tests/lib/results.sh)."""

import os
from contextlib import ExitStack, contextmanager

import pytest
from support import HELPER, OVER, OWNER, Project, Upstream

REQUIRE_ALL = bool(os.environ.get("NIXBOX_REQUIRE_ALL"))
FAILED = pytest.StashKey[bool]()


@pytest.fixture
def project(request):
    """A project with one instance, `sandbox`, to be mounted at .agentfs/mnt. Must leave nothing behind."""
    with _closing(Project(), request.node) as one:
        yield one


@pytest.fixture
def make_project(request):
    """For a test that wants another configuration, or several projects: `make_project(config=None)`."""
    with ExitStack() as made:
        yield lambda *args, **options: made.enter_context(_closing(Project(*args, **options), request.node))


@pytest.fixture
def over(make_project):
    """A project whose instance lies over its folder `base`, which is empty."""
    one = make_project(OVER)
    one.below.mkdir()
    return one


@pytest.fixture
def upstream(over):
    """Upstream's program in the project `over`."""
    return Upstream(over)


@contextmanager
def _closing(project, test):
    try:
        yield project
        # What a test leaves that broke off in the middle says nothing.
        if not test.stash.get(FAILED, False):
            project.assert_nothing_left()
    finally:
        project.close()


def pytest_sessionstart():
    for program in (HELPER, OWNER):
        if not program.exists():
            pytest.exit(f"{program} is missing: tests/run build", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    _refuse_missing(report)
    if report.failed:
        item.stash[FAILED] = True


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report():
    _refuse_missing((yield).get_result())


def _refuse_missing(report):
    """With --require-all a skip is a failure, unless it is for something that no registry carries."""
    if not REQUIRE_ALL or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = _reason(report)
    if not reason.startswith("optional:"):
        report.outcome = "failed"
        report.longrepr = f"{reason}, and --require-all was asked for"


def _reason(report):
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_runtest_logreport(report):
    name = report.nodeid
    if report.skipped:
        _record(f"skip {name}: {_reason(report)}")
    elif report.failed:
        _record(f"not ok {name}" + ("" if report.when == "call" else f" ({report.when})"))
        for line in _last_words(report):
            _record(f"| {line[:300]}")
    elif report.when == "call":
        _record(f"ok {name}")


def _last_words(report):
    """What failed and where, in a few lines."""
    return [line for line in str(report.longrepr).splitlines() if line.strip()][-12:]


def pytest_collectreport(report):
    if report.failed:
        _record(f"not ok {report.nodeid} (collection)")
    elif report.skipped:
        _record(f"skip {report.nodeid}: {_reason(report)}")


def _record(line):
    path = os.environ.get("NIXBOX_RESULTS")
    if path:
        with open(path, "a", encoding="utf-8") as results:
            results.write(line.replace("\n", " ") + "\n")
