import pytest
from sdks import Sdk
from support import need, sync_server


@pytest.fixture
def mounted(project):
    """`with mounted() as root:` the instance is up meanwhile, and after it the database is nobody's."""
    need("fuse")

    class Mounted:
        def __enter__(self):
            self.owner = project.serve()
            return project.mount

        def __exit__(self, *failure):
            code = project.stop(self.owner)
            assert failure[0] or (code, project.journals()) == (0, [])

    yield Mounted
    # The SDKs keep their write-ahead log; ours is the one to leave nothing.
    for name in project.journals():
        (project.database().parent / name).unlink()


@pytest.fixture(params=["npm", "pypi"])
def sdk(request, project):
    return Sdk(request.param, project.database())


@pytest.fixture
def remote(project):
    """The address of the real sync server, with a database of its own."""
    with sync_server(project) as server:
        yield server.url
