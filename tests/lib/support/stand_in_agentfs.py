#!/usr/bin/env python3
"""Stands in for upstream's program where that is not to be had: does what it was seen to do, and nothing well.

    mount --foreground DB MOUNTPOINT   an empty folder by FUSE, as root; no signal ends it in order
    serve nfs --bind IP --port N DB    something that listens; only SIGINT ends it in order

It locks the database for as long as it runs, leaves its write-ahead log behind, and talks on standard output unless
RUST_LOG is "off". STAND_IN says what goes wrong: "refuses", "hangs".
"""

import argparse
import ctypes
import fcntl
import os
import signal
import socket
import sqlite3
import struct
import sys
import time


def hold(path):
    """One process a database; and what it writes stays in its log."""
    held = open(path, "r+b")
    try:
        fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("Error: database error: Locking error: Failed locking file. File is locked by another process")
    connection = sqlite3.connect(path, isolation_level=None)
    # As Turso does, without memory that is shared by way of a file.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT OR REPLACE INTO kv_store (key, value) VALUES ('stand-in', 'true')")
    return held, connection


def noise():
    if os.environ.get("RUST_LOG") != "off":
        print("2026-01-01T00:00:00Z ERROR agentfs::fuser: what comes on standard output", flush=True)


def attr(mode):
    return struct.pack("=6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, mode, 2, 0, 0, 0, 4096, 0)


# opcode -> what is answered; what is not here is not known
ANSWERS = {
    3: struct.pack("=QII", 0, 0, 0) + attr(0o040755),
    17: struct.pack("=5Q4I6I", 1000, 1000, 1000, 1000, 1000, 4096, 255, 4096, 0, *[0] * 6),
    26: struct.pack("=4I2H2I2H8I", 7, 31, 65536, 0, 16, 12, 65536, 1, 16, 0, *[0] * 8),
    27: struct.pack("=QII", 0, 0, 0),
    28: b"",
    29: b"",
    34: b"",
    38: b"",
}
UNANSWERED = {2, 36, 42}


def mount(database, point):
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,default_permissions".encode()
    source = b"agentfs:" + os.fsencode(database)
    if libc.mount(source, os.fsencode(point), b"fuse", 6, options):
        sys.exit(f"Error: {os.strerror(ctypes.get_errno())}")
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError:
            # Unmounted.
            return
        opcode, unique = struct.unpack_from("=IQ", request, 4)
        if opcode in UNANSWERED:
            continue
        body = ANSWERS.get(opcode)
        error = 0 if body is not None else -2 if opcode == 1 else -38
        body = body or b""
        os.write(device, struct.pack("=IiQ", 16 + len(body), error, unique) + body)


def serve(bind, port):
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    with socket.create_server((bind, port)) as server:
        while True:
            server.accept()[0].close()


def main():
    parser = argparse.ArgumentParser(prog="agentfs")
    parser.add_argument("--version", action="version", version="agentfs 0.6.4")
    verbs = parser.add_subparsers(required=True)
    mounting = verbs.add_parser("mount")
    mounting.add_argument("--foreground", action="store_true", required=True)
    mounting.add_argument("--system", action="store_true")
    mounting.add_argument("--allow-root", action="store_true")
    mounting.add_argument("database")
    mounting.add_argument("point")
    serving = verbs.add_parser("serve")
    serving.add_argument("what", choices=["nfs"])
    serving.add_argument("--bind", required=True)
    serving.add_argument("--port", type=int, required=True)
    serving.add_argument("database")
    args = parser.parse_args()
    if os.environ.get("STAND_IN") == "refuses":
        sys.exit("Error: a reason of its own")
    noise()
    if os.environ.get("STAND_IN") == "hangs":
        time.sleep(3600)
    held = hold(args.database)
    if hasattr(args, "point"):
        mount(args.database, args.point)
    else:
        serve(args.bind, args.port)
    del held
    # Nothing is closed in order.
    os._exit(0)


if __name__ == "__main__":
    main()
