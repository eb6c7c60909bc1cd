"""Upstream's sync client of PyPI behind the protocol of sync_clients.py: calls on stdin, answers on stdout, a line each."""

import json
import os
import sys
from base64 import b64decode, b64encode

import turso.sync

path, url = sys.argv[1:]
connection = turso.sync.connect(path, url, auth_token=os.environ["SYNC_TOKEN"] or None)


def answer(call, sql="", args=()):
    match call:
        case "rows":
            rows = connection.execute(sql, [b64decode(arg["blob"]) if isinstance(arg, dict) else arg for arg in args])
            kept = [[{"blob": b64encode(v).decode()} if isinstance(v, bytes) else v for v in row] for row in rows.fetchall()]
            connection.commit()
            return kept
        case "pull":
            connection.pull()
        case "push":
            connection.push()


for line in sys.stdin:
    print(json.dumps(answer(*json.loads(line))), flush=True)
connection.close()
