"""Upstream's Python SDK behind the protocol of sdks.py: a list of calls on stdin, a list of answers on stdout."""

import asyncio
import json
import sys
from base64 import b64decode, b64encode

from agentfs_sdk import AgentFS, AgentFSOptions


async def answer(agent, call, path, *args):
    fs = agent.fs
    match call:
        case "read":
            return b64encode(await fs.read_file(path, encoding=None)).decode()
        case "write":
            return await fs.write_file(path, b64decode(args[0]))
        case "stat":
            stat = await fs.stat(path)
            return {"mode": stat.mode, "size": stat.size, "nlink": stat.nlink, "mtime": stat.mtime}
        case "list":
            return await fs.readdir(path)
        case "mkdir":
            return await fs.mkdir(path)
        case "rmdir":
            return await fs.rmdir(path)
        case "unlink":
            return await fs.unlink(path)
        case "rename":
            return await fs.rename(path, args[0])
        case "set":
            return await agent.kv.set(path, args[0])
        case "get":
            return await agent.kv.get(path)
        case "record":
            return await agent.tools.record(path, 1, 2, parameters={"n": 1}, result=args[0])
        case "recorded":
            return [call.result for call in await agent.tools.get_by_name(path)]
        case "record_at":
            return await agent.tools.record(path, args[0], args[1])
        case "calls":
            found = await agent.tools.get_by_name(path)
            wanted = ["id", "parameters", "result", "error", "status", "started_at", "duration_ms"]
            return [{name: getattr(call, name) for name in wanted} for call in found]
        case "hold":
            print("held", file=sys.stderr, flush=True)
            return await asyncio.sleep(60)
    raise ValueError(call)


async def main():
    async with await AgentFS.open(AgentFSOptions(path=sys.argv[1])) as agent:
        return [await answer(agent, *call) for call in json.load(sys.stdin)]


print(json.dumps(asyncio.run(main())))
