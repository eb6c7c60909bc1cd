"""`agentfs init --force foo` deletes every database whose name begins with foo, mounted or not. Our `init` deletes none."""

from support import PLAIN, need

TWO = PLAIN + '\n[instances.sandbox2.mount]\npath = "second"\n'


def test_init_again_leaves_everything_as_it_is(make_project):
    need("fuse")
    project = make_project(TWO)
    project.helper("init")
    project.helper("kv", "set", "key", "1", "--instance", "sandbox2")
    stray = project.root / ".agentfs/sandbox.db.bak"
    stray.write_text("a copy that somebody made")
    before = {path.name: path.read_bytes() for path in (project.root / ".agentfs").glob("*.db*")}
    project.helper("init", "sandbox")
    assert project.helper("init", "--force", "sandbox", check=False).returncode == 2
    assert {path.name: path.read_bytes() for path in (project.root / ".agentfs").glob("*.db*")} == before
    owner = project.serve()
    (project.mount / "file").write_text("content")
    project.helper("init")
    assert (project.mount / "file").read_text() == "content"
    assert project.helper("kv", "get", "key", "--instance", "sandbox2").stdout == "1\n"
    assert project.stop(owner) == 0
    assert stray.read_text() == "a copy that somebody made"
