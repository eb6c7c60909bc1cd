"""Upstream's database has one opener: while it is mounted, every other command of it fails. Ours asks the owner."""

import os

from support import HELPER, need

VERBS = [
    ("fs", "ls", "/"),
    ("fs", "stat", "/file"),
    ("fs", "find", "*"),
    ("fs", "tree"),
    ("kv", "set", "key", "1"),
    ("kv", "get", "key"),
    ("kv", "list"),
    ("tool", "record", "probe"),
    ("timeline",),
    ("ps",),
    ("info",),
    ("ready",),
]


def test_every_verb_answers_while_the_instance_is_mounted(over):
    need("fuse")
    (over.below / "file").write_text("of the base")
    owner = over.serve()
    for verb in VERBS:
        over.helper(*verb, timeout=10)
    over.helper("fs", "write", "/file", input="by a verb")
    assert (over.mount / "file").read_text() == "by a verb"
    (over.mount / "file").write_text("by the mount")
    assert over.helper("fs", "cat", "/file").stdout == "by the mount"
    assert over.stop(owner) == 0


def test_verbs_at_the_same_moment_all_succeed(project):
    """Without an owner each starts one for itself, and they take turns."""
    project.helper("init")
    for served in (False, True):
        owner = project.serve() if served else None
        for turn in range(5):
            verbs = [
                project.start(HELPER, "kv", "set", f"{served}-{turn}-{who}", str(who), stdout=-3) for who in range(6)
            ]
            assert [verb.wait(30) for verb in verbs] == [0] * 6
        if owner:
            assert project.stop(owner) == 0
    assert len(project.json("kv", "list", "--json")["entries"]) == 60


def test_upstream_is_refused_while_ours_serves_and_harms_nothing(over, upstream):
    need("fuse")
    owner = over.serve()
    (over.mount / "file").write_text("content")
    for command in (("fs", over.database(), "ls"), ("timeline", over.database()), ("diff", over.database())):
        refused = upstream(*command, check=False)
        assert refused.returncode != 0 and "ocked" in refused.stderr, refused.stderr
    assert (over.mount / "file").read_text() == "content"
    assert over.stop(owner) == 0


def test_upstream_has_it(over, upstream):
    need("fuse")
    upstream("init", "theirs")
    database = over.database("theirs")
    with upstream.mounted(database, over.root / "theirs"):
        for command in (("fs", database, "ls"), ("timeline", database)):
            refused = upstream(*command, check=False)
            assert refused.returncode != 0 and "ocked" in refused.stderr, refused.stderr
    assert not os.path.ismount(over.root / "theirs")
