"""Every program is run in a plain instance and in one over a folder."""

import pytest
from support import OVER, PLAIN, assert_same, findings, need, seen


@pytest.fixture(params=[PLAIN, OVER], ids=["plain", "overlay"])
def mounted(request, make_project):
    """A project whose instance is up; its owner must end well afterwards, the base be untouched, the database sound.

    `mounted.stock(fill)` lets `fill` make a tree in a folder that the mount then has: over a base it is the base's."""
    need("fuse")
    project, untouched = make_project(request.param), {}

    def stock(fill):
        if request.param is PLAIN:
            return fill(project.mount)
        fill(project.below)
        untouched.update(seen(project.below, times=True))

    project.stock = stock
    if request.param is OVER:
        project.below.mkdir()
    owner = project.serve()
    yield project
    assert project.stop(owner) == 0
    assert project.journals() == []
    if request.param is OVER:
        assert_same(untouched, seen(project.below, times=True))
    assert findings(project.database()) == []
