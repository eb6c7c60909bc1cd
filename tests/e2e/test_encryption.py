"""A key is a canary: whatever is done with an encrypted instance, it comes up nowhere."""

import json
from pathlib import Path

import pytest
from support import need

KEY = "c0ffee00" * 8
NEW = "deadbeef" * 8

CONFIG = """\
version = 1

[instances.sandbox]
mount.path = ".agentfs/mnt"
http = {}

[instances.sandbox.encryption]
"""

SOURCES = {
    "file": 'key_file = "key"',
    "command": 'key_command = ["cat", "key"]',
    "env": 'key_env = "SANDBOX_KEY"',
}


@pytest.fixture(params=SOURCES)
def encrypted(project, request):
    project.configure(CONFIG + SOURCES[request.param] + "\n")
    for name, text in [("key", KEY), ("new", NEW)]:
        (project.root / name).write_text(text + "\n")
        (project.root / name).chmod(0o600)
    if request.param == "env":
        project.env["SANDBOX_KEY"] = KEY
    return project


def files(project):
    """Everything that was written, but the keys themselves."""
    for folder in [project.root, project.home, project.runtime]:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.name not in ("key", "new", "key-2"):
                yield path


def assert_unseen(project, *texts):
    for secret in (KEY, NEW):
        for text in texts:
            assert secret not in text
        for path in files(project):
            content = path.read_bytes()
            assert secret.encode() not in content and bytes.fromhex(secret) not in content, path


def processes_of(project):
    """Command lines and environments of all that runs for the project, but for the shell's own variable."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environ = (process / "environ").read_bytes()
                if project.mark.encode() in environ and b"nixbox-owner" in (process / "cmdline").read_bytes():
                    yield environ + (process / "cmdline").read_bytes()
            except OSError:
                continue


def test_no_verb_shows_a_key(encrypted):
    need("fuse")
    project = encrypted
    said = []

    def helper(*words, code=0):
        done = project.helper("--log-level", "trace", *words, check=False)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        said.extend([done.stdout, done.stderr])
        return done

    helper("init")
    helper("up", "-d")
    (project.mount / "letter").write_text("hello")
    owners = list(processes_of(project))
    assert owners and not any(KEY.encode() in owner for owner in owners)
    for words in [
        ("info", "--json"),
        ("ps", "--json"),
        ("doctor",),
        ("env", "--format", "json"),
        ("config", "show", "--origin"),
        ("render", "--to", "process-compose"),
        ("fs", "tree"),
        ("fs", "cat", "letter"),
        ("kv", "set", "a", "1"),
        ("tool", "record", "t"),
        ("timeline",),
    ]:
        helper(*words)
    helper("rekey", "--new-key-file", "new", code=4)
    assert_unseen(project)
    helper("down")
    helper("fs", "cat", "letter")
    done = helper("rekey", "--new-key-file", "new", "--json")
    assert json.loads(done.stdout)["rows"] > 5
    # Its key is not declared yet.
    failed = helper("fs", "cat", "letter", code=7)
    assert "nixbox::key::wrong" in failed.stderr and "panicked" not in failed.stderr
    assert_unseen(project, *said)


def took_out(project, name):
    """As a folder it can be read by everybody; as a database it is encrypted as the instance is."""
    project.helper("export", "--dir", "sandbox", f"{name}.dir")
    assert (project.root / f"{name}.dir/a.txt").read_text() == "above"
    project.helper("export", "--db", "--flatten", "sandbox", f"{name}.db")
    content = (project.root / f"{name}.db").read_bytes()
    assert content.startswith(b"Turso") and b"above" not in content and b"a.txt" not in content


def test_every_verb_works_over_a_base(project):
    need("fuse")
    (project.root / "src").mkdir()
    (project.root / "src/a.txt").write_text("below")
    (project.root / "key").write_text(KEY)
    (project.root / "key").chmod(0o600)
    project.configure(CONFIG.replace("http = {}", 'base = "src"') + 'key_file = "key"\n')
    for round in range(2):
        owner = project.serve()
        if round == 0:
            assert (project.mount / "a.txt").read_text() == "below"
            (project.mount / "a.txt").write_text("above")
            (project.mount / "b").mkdir()
        assert (project.mount / "a.txt").read_text() == "above"
        project.helper("fs", "write", f"b/{round}", input="by a verb")
        assert project.helper("fs", "cat", f"b/{round}").stdout == "by a verb"
        assert "Mc--\t5\t5\ta.txt" in project.helper("status", "--porcelain", check=False).stdout.splitlines()
        assert "+above" in project.helper("diff", "--patch", check=False).stdout
        took_out(project, f"served-{round}")
        assert project.stop(owner) == 0
        took_out(project, f"unserved-{round}")
        assert "nothing wrong" in project.helper("fsck").stdout
        assert "up to date" in project.helper("migrate").stdout
    project.helper("import", "sandbox", "served-0.db", "--into", "/again")
    assert project.helper("fs", "cat", "again/b/0").stdout == "by a verb"
    assert (project.root / "src/a.txt").read_text() == "below"
    assert sorted(path.name for path in (project.root / "src").iterdir()) == ["a.txt"]
    assert project.journals() == []


def test_doctor_tells_where_file_and_declaration_differ(project):
    def finds(code, config):
        project.configure(config)
        done = project.helper("doctor", "--json", check=False)
        codes = [finding.get("code") for finding in json.loads(done.stdout)["findings"]]
        assert code in codes, (done.stdout, done.stderr)

    (project.root / "key").write_text(KEY)
    (project.root / "key").chmod(0o600)
    plain = "version = 1\n[instances.sandbox]\n"
    encrypted = plain + 'encryption = { cipher = "%s", key_file = "%s" }\n'
    project.configure(plain)
    project.helper("init")
    finds("nixbox::database::plain", encrypted % ("aegis256", "key"))
    project.helper("rekey")
    finds("nixbox::database::encrypted", plain)
    finds("nixbox::database::cipher", encrypted % ("aes256gcm", "key"))
    finds("nixbox::key::missing", encrypted % ("aegis256", "missing"))
    (project.root / "key").chmod(0o644)
    finds("nixbox::key::exposed", encrypted % ("aegis256", "key"))


def test_an_encrypted_instance_whose_base_was_moved_is_told_so(encrypted):
    need("fuse")
    project = encrypted
    config = (project.root / "nixbox.toml").read_text()
    over = config.replace("[instances.sandbox]\n", '[instances.sandbox]\nbase = "base"\n')
    project.configure(over)
    project.below.mkdir()
    (project.below / "file").write_text("base")
    owner = project.serve()
    with (project.mount / "file").open("a") as file:
        file.write("+mine")
    (project.mount / "file").chmod(0o711)
    assert project.stop(owner) == 0
    project.below.rename(project.root / "moved")
    project.configure(over.replace('"base"', '"moved"'))
    assert project.helper("fs", "cat", "file", check=False).returncode == 7
    done = project.json("instance", "relocate", "sandbox", "moved", "--json")
    assert (done["origins"], done["differing"]) == (1, 0)
    assert project.helper("fs", "cat", "file").stdout == "base+mine"
    assert (project.root / "moved/file").read_text() == "base"
    assert_unseen(project)
