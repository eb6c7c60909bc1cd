"""A virtual machine: a kernel of its own, these programs, a shell, and nothing of the machine that it runs on."""

import contextlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from support.needs import need
from support.project import HELPER, OWNER

# What scripts in it may call, beside what busybox has.
PROGRAMS = ("bash", "cat", "dash", "env", "fusermount3", "grep", "head", "pgrep", "setpriv", "setsid", "sleep", "tail", "timeout")
BUSYBOX = ("chmod", "chown", "cut", "find", "insmod", "ip", "kill", "mkdir", "mount", "poweroff", "sed", "seq", "sort", "tr", "uname")

INIT = """#!/usr/bin/bash
export PATH=/usr/bin HOME=/root TERM=dumb NO_COLOR=1
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmp /tmp; mount -t tmpfs -o mode=755 run /run
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
insmod /fuse.ko; chmod 666 /dev/fuse; ip link set lo up
echo "BOOTED $(uname -r)"
bash /script 2>&1
echo "ENDED $?"
poweroff -f
"""


def kernel():
    """An image and its `fuse.ko`: of a package that was unpacked or installed, so `../lib/modules` is beside its folder."""
    image = Path(need("NIXBOX_QEMU_KERNEL")).resolve()
    version = image.name.removeprefix("vmlinuz-")
    module = image.parents[1] / "lib/modules" / version / "kernel/fs/fuse/fuse.ko"
    assert module.is_file(), f"{module} is missing"
    return image, module


class Root:
    """What is in the machine's memory when it starts."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("proc", "sys", "dev", "tmp", "run", "etc", "root", "usr/bin"):
            (folder / name).mkdir(parents=True)
        (folder / "bin").symlink_to("usr/bin")

    def write(self, name, text, mode=0o644):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)

    def put(self, source, at, mode=0o755):
        """A program with the libraries that it is linked to."""
        target = self.folder / at
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(mode)
        linked = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", linked):
            copy = self.folder / library.lstrip("/")
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(library, copy)
                copy.chmod(0o755)

    def pack(self, target):
        """As the kernel reads it: cpio, "newc"."""
        with target.open("wb") as out:
            for number, path in enumerate([self.folder, *sorted(self.folder.rglob("*"))], 1):
                kind = path.lstat()
                content = b""
                if path.is_symlink():
                    content = os.readlink(path).encode()
                elif path.is_file():
                    content = path.read_bytes()
                name = (str(path.relative_to(self.folder))).encode() + b"\0"
                self._entry(out, number, kind.st_mode, name, content)
            self._entry(out, 0, stat.S_IFREG, b"TRAILER!!!\0", b"")

    @staticmethod
    def _entry(out, number, mode, name, content):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out.write(head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4))


def run(script, within=600):
    """What the script says in a machine of its own, where the kernel has all controllers in version 2."""
    image, module = kernel()
    with tempfile.TemporaryDirectory(prefix="nbx-") as folder:
        memory = Path(folder) / "root.cpio"
        fill(Root(Path(folder) / "root"), script, module).pack(memory)
        machine = ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3072", "-nographic", "-net", "none"]
        boot = ["-no-reboot", "-kernel", image, "-initrd", memory, "-append", "console=ttyS0 panic=-1 quiet mitigations=off"]
        command = [need("qemu-system-x86_64"), *machine, *boot]
        console = Path(folder) / "console"
        with console.open("wb") as out, contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=within, check=False)
        said = console.read_bytes().decode(errors="replace").replace("\r", "")
    assert "BOOTED" in said and "ENDED 0" in said, said
    return said[said.index("BOOTED") :]


def fill(root, script, module):
    for name in PROGRAMS:
        root.put(need(name), f"usr/bin/{name}", 0o4755 if name == "fusermount3" else 0o755)
    (root.folder / "usr/bin/sh").symlink_to("dash")
    root.put(need("busybox"), "usr/bin/busybox")
    for name in BUSYBOX:
        (root.folder / "usr/bin" / name).symlink_to("busybox")
    for program in (HELPER, OWNER):
        root.put(program, f"usr/bin/{program.name}")
        # Debugging has no use there, and much room.
        if shutil.which("strip"):
            subprocess.run(["strip", "-g", root.folder / "usr/bin" / program.name], check=False)
    root.put(module, "fuse.ko", 0o644)
    root.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
    root.write("etc/group", "root:x:0:\nuser:x:1000:\n")
    (root.folder / "etc/mtab").symlink_to("/proc/mounts")
    root.write("init", INIT, 0o755)
    root.write("script", script)
    return root
