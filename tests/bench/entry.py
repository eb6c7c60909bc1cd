"""Shell entry (P1): `env` of fifty instances, beside direnv's own cost and that of starting any program at all."""

import re
import shutil

from measure import Figure, milliseconds, ratio
from support import HELPER, Project

FIFTY = "version = 1\n" + "".join(
    f'[instances.agent-{n}]\nmount.path = "mnt/{n}"\nhttp.port = {20000 + n}\n' for n in range(50)
)

# Whatever would start a process or speak to somebody.
WATCHED = "clone,clone3,fork,vfork,execve,socket,connect"


def run(smoke, _):
    fifty, plain = Project(FIFTY), Project(config=None)
    try:
        plain.helper("new", "plain")
        yield from timed(fifty, plain, 1 if smoke else 30)
        yield calls(fifty)
    finally:
        fifty.close()
        plain.close()


def timed(fifty, plain, rounds):
    direnv, true = shutil.which("direnv"), shutil.which("true")
    if direnv:
        plain.command(direnv, "allow")
    times = {"true": [], "env": [], "direnv": []}
    for _ in range(rounds):
        # Ten of each in turn: the first after direnv's dozens of processes pays for cold caches.
        times["true"] += [milliseconds([true], fifty.env, fifty.root) for _ in range(10)]
        times["env"] += [milliseconds([str(HELPER), "env"], fifty.env, fifty.root) for _ in range(10)]
        if direnv:
            times["direnv"] += [milliseconds([direnv, "export", "bash"], plain.env, plain.root) for _ in range(3)]
    env = Figure("nixbox-helper env, 50 instances", "ms", times["env"], {"p95": 5})
    yield Figure("true (what starting a program costs)", "ms", times["true"])
    yield env
    if direnv:
        entry = Figure("direnv export bash, template `plain`", "ms", times["direnv"], note="runs `env` within")
        yield entry
        yield ratio("direnv / env", entry, env)


def calls(fifty):
    if not shutil.which("strace"):
        raise RuntimeError("strace is not installed (tests/setup)")
    trace = fifty.base / "trace"
    fifty.command("strace", "-f", "-qq", "-e", f"trace={WATCHED}", "-o", trace, HELPER, "env")
    # The first execve is strace's own.
    made = re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE)[1:]
    return Figure("processes and connections of `env`", "calls", [len(made)], {"max": 0}, " ".join(made))
