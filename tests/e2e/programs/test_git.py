"""git inside the mount: the program that an agent will run there first, and a hard one to please."""


def git(project, *args, cwd, **options):
    return project.command("git", "-c", "user.name=T", "-c", "user.email=t@example.org", *args, cwd=cwd, **options)


def repository(project):
    repo = project.mount / "repo"
    git(project, "init", "-q", "-b", "main", str(repo), cwd=project.mount)
    for number in range(50):
        folder = repo / f"d{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_text(f"{number}\n" * number)
    (repo / "run.sh").write_text("#!/bin/sh\n")
    (repo / "run.sh").chmod(0o755)
    (repo / "link").symlink_to("run.sh")
    git(project, "add", "-A", cwd=repo)
    git(project, "commit", "-qm", "one", cwd=repo)
    return repo


def test_a_commit_is_whole_and_the_tree_clean(mounted):
    repo = repository(mounted)
    assert git(mounted, "status", "--porcelain", cwd=repo).stdout == ""
    git(mounted, "fsck", "--full", "--strict", cwd=repo)
    tree = git(mounted, "ls-tree", "-r", "HEAD", cwd=repo).stdout
    assert "100755 blob" in tree and "120000 blob" in tree
    assert len(tree.splitlines()) == 52


def test_clones_within_and_out_of_the_mount_are_equal(mounted):
    repo = repository(mounted)
    within, outside = mounted.mount / "clone", mounted.base / "clone"
    for target in (within, outside):
        git(mounted, "clone", "-q", str(repo), str(target), cwd=mounted.root)
        git(mounted, "fsck", "--full", cwd=target)
    heads = {git(mounted, "rev-parse", "HEAD^{tree}", cwd=place).stdout for place in (repo, within, outside)}
    assert len(heads) == 1


def test_rewriting_history_and_packing(mounted):
    repo = repository(mounted)
    for number in range(5):
        (repo / "d1/f1").write_text(f"change {number}\n")
        git(mounted, "commit", "-qam", f"change {number}", cwd=repo)
    git(mounted, "checkout", "-q", "-b", "side", "HEAD~3", cwd=repo)
    (repo / "side").write_text("side\n")
    git(mounted, "add", "side", cwd=repo)
    git(mounted, "commit", "-qm", "side", cwd=repo)
    git(mounted, "rebase", "-q", "main", cwd=repo)
    git(mounted, "gc", "-q", "--prune=now", cwd=repo)
    git(mounted, "fsck", "--full", cwd=repo)
    assert (repo / "d1/f1").read_text() == "change 4\n"
    assert git(mounted, "status", "--porcelain", cwd=repo).stdout == ""


def test_worktrees_of_a_repository_of_the_base(mounted):
    """The repository is the base's where there is one: it is read there, and what is committed stays in the database."""

    def fill(folder):
        git(mounted, "init", "-q", "-b", "main", str(folder / "repo"), cwd=folder)
        for number in range(30):
            (folder / f"repo/f{number}").write_text(f"{number}\n" * number)
        git(mounted, "add", "-A", cwd=folder / "repo")
        git(mounted, "commit", "-qm", "one", cwd=folder / "repo")

    mounted.stock(fill)
    repo, tree = mounted.mount / "repo", mounted.mount / "tree"
    assert git(mounted, "status", "--porcelain", cwd=repo).stdout == ""
    git(mounted, "worktree", "add", "-q", "-b", "side", str(tree), cwd=repo)
    (tree / "f1").write_text("side\n")
    git(mounted, "commit", "-qam", "side", cwd=tree)
    (repo / "f2").write_text("main\n")
    git(mounted, "commit", "-qam", "main", cwd=repo)
    git(mounted, "rebase", "-q", "main", cwd=tree)
    git(mounted, "merge", "-q", "--ff-only", "side", cwd=repo)
    assert ((repo / "f1").read_text(), (repo / "f2").read_text()) == ("side\n", "main\n")
    (repo / "f3").write_text("stashed\n")
    git(mounted, "stash", cwd=repo)
    assert git(mounted, "status", "--porcelain", cwd=repo).stdout == ""
    git(mounted, "stash", "pop", "-q", cwd=repo)
    assert git(mounted, "status", "--porcelain", cwd=repo).stdout == " M f3\n"
    git(mounted, "worktree", "remove", str(tree), cwd=repo)
    git(mounted, "gc", "-q", "--aggressive", "--prune=now", cwd=repo)
    git(mounted, "fsck", "--full", "--strict", cwd=repo)
    assert not tree.exists() and len(git(mounted, "log", "--format=%s", "main", cwd=repo).stdout.split()) == 3
