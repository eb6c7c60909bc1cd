// Upstream's sync client of npm behind the protocol of sync_clients.py: calls on stdin, answers on stdout, a line each.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [path, url, modules] = process.argv.slice(2);
const { connect } = await import(pathToFileURL(`${modules}/@tursodatabase/sync/dist/promise.js`));
const database = await connect({ path, url, authToken: process.env.SYNC_TOKEN || undefined });

const calls = {
  rows: async (sql, args = []) => {
    const statement = await database.prepare(sql);
    const bound = args.map((arg) => (arg?.blob === undefined ? arg : Buffer.from(arg.blob, "base64")));
    const rows = await statement.raw().all(...bound);
    return rows.map((row) => row.map((v) => (v instanceof Uint8Array ? { blob: Buffer.from(v).toString("base64") } : v)));
  },
  pull: () => database.pull(),
  push: () => database.push(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [call, ...args] = JSON.parse(line);
  console.log(JSON.stringify((await calls[call](...args)) ?? null));
}
await database.close();
