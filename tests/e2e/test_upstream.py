"""Upstream's own command line, where one is at hand: our databases are its databases once no owner runs."""

from support import need


def test_upstream_opens_a_database_after_down(project):
    agentfs = need("AGENTFS_BIN")
    need("fuse")
    owner = project.serve()
    (project.mount / "hello.txt").write_text("hello\n")
    assert project.stop(owner) == 0
    database = project.database()
    assert "hello.txt" in project.command(agentfs, "fs", database, "ls").stdout
    assert project.command(agentfs, "fs", database, "cat", "/hello.txt").stdout == "hello\n"
    # What it leaves beside the database is its own.
    for journal in database.parent.glob("sandbox.db-*"):
        journal.unlink()
