"""Encrypted databases and upstream's programs: one file, written by both, with each of the eight ciphers."""

import pytest
from sdks import Sdk
from support import need

SIXTEEN = ["aegis128l", "aegis128x2", "aegis128x4", "aes128gcm"]
CIPHERS = ["aegis256", "aegis256x2", "aegis256x4", "aes256gcm", *SIXTEEN]


def key_of(cipher):
    return "5e" * (16 if cipher in SIXTEEN else 32)


def declare(project, cipher):
    key = project.root / "key"
    key.write_text(key_of(cipher))
    key.chmod(0o600)
    project.configure(
        "version = 1\n\n[instances.sandbox]\nmount.path = \".agentfs/mnt\"\n"
        f'encryption = {{ cipher = "{cipher}", key_file = "key" }}\n'
    )


@pytest.fixture
def agentfs(project):
    program = need("AGENTFS_BIN")

    def run(cipher, *words, check=True):
        env = {"AGENTFS_KEY": key_of(cipher), "AGENTFS_CIPHER": cipher}
        return project.command(program, *words, env=env, check=check)

    yield run
    # What it leaves beside the database is its own.
    for name in project.journals():
        (project.database().parent / name).unlink()


CONTENT = "".join(f"line {number}\n" for number in range(9000))


@pytest.mark.parametrize("cipher", CIPHERS)
def test_ours_is_read_and_written_by_upstream(project, agentfs, mounted, cipher):
    declare(project, cipher)
    with mounted() as root:
        (root / "folder").mkdir()
        (root / "folder/ours").write_text(CONTENT)
        (root / "link").symlink_to("folder/ours")
    database = project.database()
    assert "folder" in agentfs(cipher, "fs", database, "ls").stdout
    assert agentfs(cipher, "fs", database, "cat", "/folder/ours").stdout == CONTENT
    agentfs(cipher, "fs", database, "write", "/theirs", "written by upstream")
    with mounted() as root:
        assert (root / "theirs").read_text() == "written by upstream"
        assert (root / "link").read_text() == CONTENT
        (root / "theirs").unlink()
        (root / "again").write_text("ours")
    listed = agentfs(cipher, "fs", database, "ls").stdout
    assert "again" in listed and "theirs" not in listed


@pytest.mark.parametrize("cipher", CIPHERS)
def test_upstreams_is_read_and_written_here(project, agentfs, mounted, cipher):
    declare(project, cipher)
    agentfs(cipher, "init", "sandbox", "--key", key_of(cipher), "--cipher", cipher)
    database = project.database()
    agentfs(cipher, "fs", database, "write", "/theirs", "first")
    with mounted() as root:
        assert (root / "theirs").read_text() == "first"
        with (root / "theirs").open("a") as file:
            file.write(", and then ours")
    assert agentfs(cipher, "fs", database, "cat", "/theirs").stdout == "first, and then ours"
    # Another key here, and upstream needs that one.
    other = "aes256gcm" if cipher != "aes256gcm" else "aegis256"
    new = project.root / "new"
    new.write_text(key_of(other))
    new.chmod(0o600)
    for name in project.journals():
        # Upstream's log holds its last write; our next opening folds it in.
        assert project.helper("fs", "cat", "theirs").stdout == "first, and then ours", name
    project.helper("rekey", "--new-key-file", new, "--cipher", other)
    assert agentfs(other, "fs", database, "cat", "/theirs").stdout == "first, and then ours"
    assert agentfs(cipher, "fs", database, "cat", "/theirs", check=False).returncode != 0


def test_the_sdks_cannot_open_it_and_do_it_no_harm(project, mounted):
    declare(project, "aegis256")
    with mounted() as root:
        (root / "ours").write_text("ours")
    for name in ["npm", "pypi"]:
        sdk = Sdk(name, project.database())
        before = project.database().read_bytes()
        done = sdk.run(("read", "/ours"))
        assert done.returncode != 0 and "b3Vycw" not in done.stdout, f"{name}: {done}"
        assert project.database().read_bytes() == before
        for journal in project.journals():
            (project.database().parent / journal).unlink()
    assert project.helper("fs", "cat", "ours").stdout == "ours"
