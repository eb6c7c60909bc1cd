"""After a lazy unmount upstream's old process goes on, and when it ends it unmounts whatever is mounted there by then."""

import os

from support import PLAIN, eventually, need


def test_the_old_owner_keeps_the_lock_and_its_end_touches_no_other_mount(project, make_project):
    need("fuse")
    old = project.serve()
    (project.mount / "file").write_text("content")
    held = (project.mount / "file").open()
    project.command("fusermount3", "-u", "-z", project.mount)
    # The same instance cannot be brought up twice …
    second = project.helper("serve", "sandbox", check=False)
    assert second.returncode == 4 and str(old.pid) in second.stderr, second.stderr
    # … and another one may have the place, in which it stays when the old one ends.
    other = make_project(PLAIN.replace(".agentfs/mnt", str(project.mount)))
    project.mount.mkdir(parents=True, exist_ok=True)
    new = other.serve()
    (project.mount / "theirs").write_text("theirs")
    held.close()
    eventually(lambda: old.poll() is not None, 10, what="the old owner's end")
    assert os.path.ismount(project.mount) and (project.mount / "theirs").read_text() == "theirs"
    assert other.helper("ready").returncode == 0
    assert other.stop(new) == 0
    owner = project.serve()
    assert (project.mount / "file").read_text() == "content"
    assert project.stop(owner) == 0


def test_an_old_owner_that_is_told_to_stop_touches_no_other_mount(project, make_project):
    need("fuse")
    old = project.serve()
    (project.mount / "file").write_text("content")
    with (project.mount / "file").open():
        project.command("fusermount3", "-u", "-z", project.mount)
        project.mount.mkdir(parents=True, exist_ok=True)
        other = make_project(PLAIN.replace(".agentfs/mnt", str(project.mount)))
        new = other.serve()
        (project.mount / "theirs").touch()
        project.helper("down")
        assert old.wait(5) is not None
        assert os.listdir(project.mount) == ["theirs"]
    assert other.stop(new) == 0
