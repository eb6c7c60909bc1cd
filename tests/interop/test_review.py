"""Upstream's `diff` of a database of ours, against our own `status`: what both can express, both say.

Upstream counts each folder above a change as modified, and knows no rename: what moved, went from one path and came to
another.
"""

import json

from support import need
from support.project import OVER
from support.upstream import Upstream

KINDS = {"file": "f", "folder": "d", "link": "l"}


def ours(helper):
    changes = json.loads(helper("status", "--json").stdout)["changes"]
    said = set()
    for change in changes:
        letter = {"added": "A", "modified": "M", "deleted": "D", "renamed": "A"}[change["kind"]]
        side = change["after"] or change["before"]
        said.add((letter, KINDS[side["kind"]], "/" + change["path"]))
        if change["kind"] == "renamed":
            said.add(("D", KINDS[side["kind"]], "/" + change["from"]))
    return {unlike(entry) for entry in said}


def theirs(text):
    lines = [line for line in text.splitlines() if line[:2] in ("A ", "M ", "D ")]
    return {unlike(tuple(line.split(" ", 2))) for line in lines}


def unlike(entry):
    """Of a link that is gone, upstream says what it led to: of what is gone, only the path is compared."""
    return ("D", "", entry[2]) if entry[0] == "D" else entry


def test_upstream_agrees_with_status(project):
    need("fuse")
    upstream = Upstream(project)
    project.configure(OVER)
    base = project.below
    for path, content in {"keep/a": "1", "keep/b": "2", "moved": "3", "gone/x": "4", "gone/y/z": "5"}.items():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_text(content)
    (base / "link").symlink_to("keep")
    owner = project.serve()
    mount = project.mount
    (mount / "keep/a").write_text("one")
    (mount / "new/deep").mkdir(parents=True)
    (mount / "new/deep/file").write_text("n")
    (mount / "new/l").symlink_to("deep")
    (mount / "moved").rename(mount / "new/here")
    project.command("rm", "-r", mount / "gone")
    (mount / "link").unlink()
    assert project.stop(owner) == 0

    said = theirs(upstream("diff", project.database()).stdout)
    expected = ours(project.helper)
    above = {entry for entry in said if entry[:2] == ("M", "d")}
    # Of what is gone with its folder, upstream lists each name that has a whiteout; ours is the folder's alone.
    inside = {entry for entry in expected if entry[0] == "D" and entry[2].startswith("/gone/")}
    assert said - above - inside == expected - inside
    assert above == {("M", "d", "/keep")}
    upstream.forget_journals()
