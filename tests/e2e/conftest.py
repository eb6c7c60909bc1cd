import pytest
from support import need


@pytest.fixture
def mounted(project):
    """A project whose instance is up; its owner must end well afterwards."""
    need("fuse")
    owner = project.serve()
    yield project
    assert project.stop(owner) == 0
    assert project.journals() == []
