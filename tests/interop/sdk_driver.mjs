// Upstream's npm SDK behind the protocol of sdks.py: a list of calls on stdin, a list of answers on stdout.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [database, modules, name] = process.argv.slice(2);
const { AgentFS } = await import(pathToFileURL(`${modules}/${name}/dist/index_node.js`));
const agent = await AgentFS.open({ path: database });
const { fs, kv, tools } = agent;

const calls = {
  read: async (path) => (await fs.readFile(path)).toString("base64"),
  write: (path, content) => fs.writeFile(path, Buffer.from(content, "base64")),
  stat: async (path) => {
    const { mode, size, nlink, mtime } = await fs.stat(path);
    return { mode, size, nlink, mtime };
  },
  list: (path) => fs.readdir(path),
  mkdir: (path) => fs.mkdir(path),
  rmdir: (path) => fs.rmdir(path),
  unlink: (path) => fs.unlink(path),
  rename: (path, to) => fs.rename(path, to),
  set: (key, value) => kv.set(key, value),
  get: (key) => kv.get(key),
  record: (name, result) => tools.record(name, 1, 2, { n: 1 }, result),
  recorded: async (name) => (await tools.getByName(name)).map((call) => call.result),
  record_at: (name, started, completed) => tools.record(name, started, completed),
  calls: async (name) =>
    (await tools.getByName(name)).map(({ id, parameters, result, error, status, started_at, duration_ms }) => {
      return { id, parameters, result: result ?? null, error, status, started_at, duration_ms };
    }),
  // The two below are not in the Python SDK.
  symlink: (path, target) => fs.symlink(target, path),
  readlink: (path) => fs.readlink(path),
  // Through an open file, which may leave a hole or a short chunk.
  truncate: async (path, size) => (await fs.open(path)).truncate(size),
  pwrite: async (path, offset, content) => (await fs.open(path)).pwrite(offset, Buffer.from(content, "base64")),
  hold: () => {
    console.error("held");
    return sleep(60_000);
  },
};

const answers = [];
for (const [call, ...args] of JSON.parse(readFileSync(0, "utf8"))) {
  answers.push((await calls[call](...args)) ?? null);
}
await agent.close();
process.stdout.write(JSON.stringify(answers));
