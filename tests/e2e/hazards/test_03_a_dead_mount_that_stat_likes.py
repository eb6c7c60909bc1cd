"""On a dead mount `stat` and `mountpoint` can go on to succeed, out of the kernel's cache. Our probes do not use them."""

from support import need


def test_a_dead_mount_is_told_from_a_living_one(project):
    need("fuse")
    owner = project.serve()
    (project.mount / "file").write_text("content")
    assert project.helper("ready").returncode == 0
    owner.kill()
    owner.wait(5)
    assert project.helper("ready", check=False).returncode != 0
    (row,) = project.json("ps", "--json")["instances"]
    assert not row["ready"] and row["state"] in ("stale", "stopped")
    # It looks at the place, and does not hang there.
    assert "dead" in project.helper("doctor", check=False, timeout=10).stdout
    project.helper("down")
