"""From a change in a mount to the remote that has it, in `real-time`; and an owner that holds a lease and has nothing to do."""

import json
import time
import urllib.request

from measure import Figure
from owner import turns
from support import Project, sync_server

DEBOUNCE = 0.2
CONFIG = """\
version = 1
[remotes.team]
url = "{url}"
[instances.sandbox]
mount.path = ".agentfs/mnt"
[instances.sandbox.sync]
remote = "team"
mode = "real-time"
debounce = "{debounce:.0f}ms"
lease = "10min"
"""


def run(smoke, _):
    project = Project(config=None)
    try:
        with sync_server(project) as server:
            project.configure(CONFIG.format(url=server.url, debounce=DEBOUNCE * 1000))
            owner = project.serve()
            root = project.root / ".agentfs/mnt"
            times = [pushed(root / f"file-{number}", server.url) for number in range(3 if smoke else 40)]
            yield Figure("change to push, less the debounce", "ms", times, {"p95": 300})
            time.sleep(2)
            seconds = 0.5 if smoke else 5
            before = turns(owner.pid)
            time.sleep(seconds)
            yield Figure(f"wake-ups of an idle writer in {seconds:g} s", "turns", [turns(owner.pid) - before], {"max": 0})
            project.stop(owner)
    finally:
        project.close()


def pushed(path, url):
    path.write_text("text")
    begun = time.perf_counter()
    while not is_there(path.name, url):
        # The server has one connection for all: who asks too often is in the way of what is waited for.
        time.sleep(0.01)
    return (time.perf_counter() - begun - DEBOUNCE) * 1000


def is_there(name, url):
    statement = {"sql": f"SELECT count(*) FROM fs_dentry WHERE name = '{name}'", "args": [], "want_rows": True}
    batch = {"type": "batch", "batch": {"steps": [{"condition": None, "stmt": statement}]}}
    body = json.dumps({"baton": None, "requests": [batch]}).encode()
    asked = urllib.request.Request(f"{url}/v2/pipeline", body, {"content-type": "application/json"})
    answer = json.load(urllib.request.urlopen(asked, timeout=10))
    rows = answer["results"][0]["response"]["result"]["step_results"][0]
    return rows is not None and rows["rows"][0][0]["value"] == "1"
