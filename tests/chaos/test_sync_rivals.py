"""Two machines that write at the same time, in each of the ways in which row-wise sync loses files: what one of them wrote
both have in the end, or `sync conflicts` names it until somebody has settled it."""

import shutil
import subprocess

import pytest
from machines import Machine, assert_equal
from support import HELPER, chance, scaled, sync_server

ROUNDS = scaled(18, 200)


class Rivals:
    def __init__(self, make_project, server, random):
        self.make, self.server, self.random = make_project, server, random
        self.ada, self.bob = (Machine(make_project(None), server.url) for _ in range(2))
        # What both are to have.
        self.known = {}
        self.number = 0

    def write(self, machine, path):
        content = self.random.randbytes(self.random.choice((1, 3000, 60_000)))
        machine.write(path, content)
        return content

    def new(self, machine, name):
        self.number += 1
        path = f"{name}-{self.number % 40}"
        self.known[path] = self.write(machine, path)

    def settle(self, machine, path, ours, theirs):
        """A conflict is told by every verb until it is settled, and changes nothing meanwhile."""
        assert machine.sync("pull") == machine.sync("push") == "nixbox::sync::conflict"
        assert machine.conflicts() == {f"/{path}"}
        take = self.random.choice(("ours", "theirs"))
        machine.project.helper("sync", "resolve", path, f"--{take}")
        content = ours if take == "ours" else theirs
        self.known.pop(path, None)
        if content is not None:
            self.known[path] = content

    # The cases

    def side_by_side(self):
        """Neither pulls before it writes, and both push at the same moment."""
        self.new(self.ada, "ada")
        self.new(self.bob, "bob")
        pushes = [
            (each, each.project.start(HELPER, "sync", "push", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            for each in (self.ada, self.bob)
        ]
        for each, push in pushes:
            out, said = push.communicate(timeout=60)
            each.outcome(subprocess.CompletedProcess([], push.returncode, out.decode(), said.decode()))

    def pulled_before_it_pushed(self):
        self.new(self.ada, "ada")
        self.ada.surely("push")
        self.new(self.bob, "bob")
        self.bob.surely("pull")
        self.new(self.bob, "bob")

    def restored(self):
        """From a copy of its database, and written to before anything is pulled."""
        saved = self.ada.project.base / "saved.db"
        shutil.copy(self.ada.project.database(), saved)
        self.new(self.ada, "ada")
        self.new(self.ada, "gone-from-the-copy")
        self.ada.surely("push")
        if self.random.random() < 0.5:
            self.new(self.bob, "bob")
            self.bob.surely("push")
        assert self.ada.project.journals() == []
        shutil.copy(saved, self.ada.project.database())
        self.new(self.ada, "restored")

    def cloned(self):
        """The whole of its data, on another machine: they are two, and both push."""
        other = Machine(self.make(None), self.server.url)
        folder = other.project.root / ".agentfs"
        shutil.rmtree(folder)
        shutil.copytree(self.ada.project.root / ".agentfs", folder)
        self.new(self.ada, "ada")
        self.new(other, "clone")
        first, second = self.random.sample([self.ada, other], 2)
        first.surely("push")
        second.surely("push")
        other.surely("pull")
        assert_equal(other.sound(), self.known)

    def one_name(self):
        self.number += 1
        path = f"both-{self.number}"
        theirs = self.write(self.ada, path)
        self.ada.surely("push")
        self.settle(self.bob, path, self.write(self.bob, path), theirs)

    def one_file(self):
        path = self.random.choice(sorted(self.known) or ["none"])
        if path not in self.known:
            return
        theirs = self.write(self.ada, path)
        self.ada.surely("push")
        self.settle(self.bob, path, self.write(self.bob, path), theirs)

    def one_removed(self):
        path = self.random.choice(sorted(self.known) or ["none"])
        if path not in self.known:
            return
        remover, writer = self.random.sample([self.ada, self.bob], 2)
        remover.project.helper("fs", "rm", path)
        remover.surely("push")
        self.settle(writer, path, self.write(writer, path), None)

    CASES = (side_by_side, pulled_before_it_pushed, restored, cloned, one_name, one_file, one_removed)


@pytest.mark.timeout(scaled(240, 3600))
def test_rivals(make_project):
    random = chance()
    with sync_server(make_project(None)) as server:
        rivals = Rivals(make_project, server, random)
        for round_ in range(ROUNDS):
            case = Rivals.CASES[round_ % len(Rivals.CASES)]
            print(round_, case.__name__)
            case(rivals)
            for machine in (rivals.ada, rivals.bob):
                machine.surely("push")
            rivals.ada.surely("pull")
            for machine in (rivals.ada, rivals.bob):
                assert_equal(machine.tree(), rivals.known)
        for machine in (rivals.ada, rivals.bob):
            assert_equal(machine.sound(), rivals.known)
