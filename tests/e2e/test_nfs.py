"""An instance over NFS, with clients that are not ours: libnfs in user space, and the kernel where it has one."""

import os
import socket
import subprocess

import pytest
from support import eventually, need

CONFIG = """\
version = 1

[instances.sandbox]
mount.backend = "{backend}"
nfs = {{}}
"""


@pytest.fixture
def served(make_project):
    need("nfs-ls")
    return make_project(CONFIG.format(backend="none"))


def url(project, path=""):
    host, port = project.exports()["AGENTFS_NFS"].rsplit(":", 1)
    return f"nfs://{host}/{path}?nfsport={port}&mountport={port}&version=3"


def lines(project, path=""):
    listed = project.command("nfs-ls", url(project, path)).stdout
    return {line.split()[-1]: line.split() for line in listed.splitlines()}


def test_what_verbs_write_a_client_reads_and_back(served):
    served.helper("init")
    owner = served.serve()
    served.helper("fs", "mkdir", "folder")
    served.helper("fs", "write", "folder/a", input="by a verb\n")
    assert served.command("nfs-cat", url(served, "folder/a")).stdout == "by a verb\n"
    listed = lines(served, "folder")
    assert listed["a"][0].startswith("-rw-r--r--") and listed["a"][4] == "10", listed

    big = served.root / "big"
    big.write_bytes(os.urandom(3_000_001))
    served.command("nfs-cp", big, url(served, "folder/big"))
    served.command("nfs-cp", url(served, "folder/big"), served.root / "back")
    assert (served.root / "back").read_bytes() == big.read_bytes()
    assert served.json("fs", "stat", "folder/big", "--json")["size"] == 3_000_001

    row = served.json("ps", "--json")["instances"][0]
    assert row["nfs"] == served.exports()["AGENTFS_NFS"] and row["mount"] is None
    assert served.stop(owner) == 0
    assert not served.journals()
    assert "AGENTFS_NFS" not in served.exports()


def test_nothing_needs_fuse_or_root(served):
    """Where there is no /dev/fuse and nobody is root, an instance is still to be had."""
    need("setpriv")
    if os.geteuid() != 0:
        pytest.skip("optional: only root can become somebody else")
    for folder in (served.base, served.root, served.runtime, served.home):
        os.chown(folder, 65534, 65534)
    os.chmod(served.base, 0o755)
    closed = 'mount --bind /dev/fuse /dev/fuse && mount -o remount,bind,nodev /dev/fuse'
    alone = ["unshare", "--mount", "--propagation", "private"]
    without_fuse = [*alone, "sh", "-c", f'[ ! -e /dev/fuse ] || {{ {closed}; }}; exec "$@"', "sh"]
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "nixbox-helper"]
    owner = served.start(*without_fuse, *as_nobody, "serve", "sandbox", stderr=subprocess.DEVNULL)
    # Not by `wait`, which would make the runtime folder, as root.
    eventually(lambda: "AGENTFS_NFS" in served.exports(), 20, what="the owner of another user")
    served.helper("fs", "write", "a", input="x")
    assert served.command("nfs-cat", url(served, "/a")).stdout == "x"
    assert served.stop(owner) == 0


def test_a_port_that_is_taken_is_named(make_project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project = make_project(CONFIG.format(backend="none").replace("nfs = {}", f"nfs.port = {port}"))
        failed = project.helper("serve", "sandbox", check=False)
        assert failed.returncode == 8 and "nixbox::nfs::bind" in failed.stderr, failed.stderr
        assert f"127.0.0.1:{port}" in failed.stderr and "nfs.port" in failed.stderr
        found = project.json("doctor", "--json", check=False)["findings"]
        assert any(finding.get("code") == "nixbox::nfs::bind" for finding in found), found


def test_beside_a_mount(make_project):
    need("fuse")
    need("nfs-ls")
    project = make_project(CONFIG.format(backend="fuse"))
    owner = project.serve()
    mount = project.root / ".agentfs/mnt/sandbox"
    (mount / "a").write_text("by the mount\n")
    assert project.command("nfs-cat", url(project, "/a")).stdout == "by the mount\n"
    assert not (mount / "b").exists()
    (project.root / "b").write_text("by NFS\n")
    project.command("nfs-cp", project.root / "b", url(project, "/b"))
    assert (mount / "b").read_text() == "by NFS\n"
    (mount / "b").unlink()
    assert "b" not in lines(project)
    assert project.stop(owner) == 0


def test_doctor_says_by_what_it_mounts(make_project):
    need("fuse")

    def backend(name):
        project = make_project(CONFIG.format(backend=name).replace("nfs = {}\n", ""))
        found = project.json("doctor", "--json", check=False)["findings"]
        return [finding for finding in found if finding["subject"] == "backend"]

    (auto,) = backend("auto")
    assert auto["grade"] == "ok" and "by FUSE" in auto["found"], auto
    assert not backend("fuse")
    (nfs,) = backend("nfs")
    if any(line.split()[-1] == "nfs" for line in open("/proc/filesystems", encoding="ascii")) and os.geteuid() == 0:
        assert nfs["grade"] == "ok", nfs
    else:
        assert nfs["grade"] == "fail" and nfs["code"] == "nixbox::mount::no-nfs", nfs
