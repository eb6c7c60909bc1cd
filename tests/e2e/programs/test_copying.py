"""Programs that carry trees about, with modes, links, holes and times: what arrives is what was sent."""

import os
import subprocess

from support import assert_same, need, seen


def tree(folder):
    """Something of everything that an ordinary tree has."""
    for number in range(40):
        path = folder / f"d{number % 5}/e{number % 3}/f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 997))
        path.chmod(0o600 | number % 0o100)
        os.utime(path, ns=(10**18 + number, 10**18 + number * 7))
    (folder / "link").symlink_to("d1/e1/f1")
    (folder / "dangling").symlink_to("/nowhere/at all")
    (folder / "empty").mkdir(mode=0o700)
    (folder / "a name with\nmuch in it ü").write_text("x")
    with (folder / "sparse").open("wb") as file:
        file.truncate(3_000_000)
        file.seek(1_000_000)
        file.write(b"in the middle")
    os.utime(folder / "d1", ns=(10**18, 10**18))


def linked(folder):
    """Names of one file are a promise of the database; a base's are shown as files of their own."""
    os.link(folder / "d1/e1/f1", folder / "hard")
    os.link(folder / "d1/e1/f1", folder / "d2/hard")


def test_tar_both_ways(mounted):
    mounted.stock(tree)
    linked(mounted.mount)
    want = seen(mounted.mount, times=True)
    outside, back = mounted.base / "outside", mounted.mount / "back"
    for source, target in ((mounted.mount, outside), (outside, back)):
        target.mkdir()
        with subprocess.Popen(["tar", "--format=posix", "-C", source, "--exclude=./back", "-cf", "-", "."], stdout=-1) as packing:
            mounted.command("tar", "-C", target, "-xpf", "-", stdin=packing.stdout)
        assert packing.returncode == 0
        assert_same(want, seen(target, times=True))


def test_rsync_both_ways_and_again(mounted):
    need("rsync")
    mounted.stock(tree)
    linked(mounted.mount)
    want = seen(mounted.mount, times=True)
    outside, back = mounted.base / "outside", mounted.mount / "back"
    for source, target in ((mounted.mount, outside), (outside, back)):
        mounted.command("rsync", "-aHS", "-@-1", "--exclude=/back", f"{source}/", target)
        assert_same(want, seen(target, times=True))
        # A second time there is nothing to do, by content nor by time.
        for how in ("-aHni@-1", "-aHnic@-1"):
            assert mounted.command("rsync", how, "--exclude=/back", f"{source}/", target).stdout == ""
    (mounted.mount / "back/d1/e1/f1").write_text("changed")
    told = mounted.command("rsync", "-aHni", "--exclude=/back", f"{outside}/", back).stdout
    assert "f1" in told


def test_cp_of_every_kind(mounted):
    mounted.stock(tree)
    source = mounted.mount / "d3"
    want = seen(source, times=True)
    for number, how in enumerate((["-a"], ["-a", "--reflink=auto"], ["-a", "--sparse=always"], ["-rp"])):
        for place in (mounted.mount, mounted.base):
            target = place / f"copy{number}"
            mounted.command("cp", *how, source, target)
            assert_same(want, seen(target, times=True))
    mounted.command("cp", "--reflink=auto", "--sparse=always", mounted.mount / "sparse", mounted.mount / "thin")
    mounted.command("cmp", mounted.mount / "sparse", mounted.mount / "thin")
    refused = mounted.command("cp", "--reflink=always", mounted.mount / "sparse", mounted.mount / "no", check=False)
    assert refused.returncode != 0
    mounted.command("dd", f"if={mounted.mount}/sparse", f"of={mounted.mount}/dd", "bs=7777", "conv=fsync,sparse")
    mounted.command("cmp", mounted.mount / "sparse", mounted.mount / "dd")


def test_mv_into_out_of_and_within(mounted):
    mounted.stock(tree)
    want = seen(mounted.mount / "d2", times=True)
    way = (mounted.mount / "d2", mounted.mount / "empty/d2", mounted.base / "d2", mounted.mount / "d2")
    for source, target in zip(way, way[1:], strict=False):
        mounted.command("mv", source, target)
        assert not source.exists()
        assert_same(want, seen(target, times=True))


def test_find_by_age_and_diff(mounted):
    mounted.stock(tree)
    (mounted.mount / "mark").touch()
    later = os.stat(mounted.mount / "mark").st_mtime_ns + 10**9
    (mounted.mount / "d1/new").touch()
    os.utime(mounted.mount / "d1/new", ns=(later, later))
    found = mounted.command("find", ".", "-newer", "mark", "-type", "f", cwd=mounted.mount).stdout.split()
    assert found == ["./d1/new"]
    found = mounted.command("find", ".", "!", "-newermt", "2002-01-01", "-name", "f*", cwd=mounted.mount).stdout
    assert len(found.split()) == 40
    copied = mounted.base / "copied"
    mounted.command("cp", "-a", mounted.mount, copied)
    mounted.command("diff", "-r", "--no-dereference", mounted.mount, copied)
