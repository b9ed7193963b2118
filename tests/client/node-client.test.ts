import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { run } from "../support/run.ts";
import { appOf, startServer } from "../support/server.ts";

// The client's packages as they are published, in Node: the oldest supported version has no
// WebSocket.

const ROOT = join(import.meta.dir, "..", "..");
const PACKAGES = ["protocol", "query", "sync"];
const DEPENDENCIES = ["eventsource-parser", "valibot"];
const dir = mkdtempSync(join(tmpdir(), "pylon-node-"));

const app = appOf(
  buildManifest({
    name: "node-client",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string(), ownerId: field.string().owner() })],
    policies: [policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" })],
  }),
);

const SCRIPT = `
import { createSyncEngine } from "@pylonsync/sync";

// Newer versions of Node have one.
delete globalThis.WebSocket;
const [url, token, sync] = process.argv.slice(2);
const engine = createSyncEngine(url, { token, sync, pollInterval: 50 });
const notes = engine.query("Note", { where: { text: "from another client" } });
const isTold = new Promise((resolve) => notes.subscribe(() => notes.getSnapshot().length > 0 &&
  resolve()));
engine.onStatus(({ connection }) => connection === "live" && console.log("live"));
engine.start();
await isTold;
await engine.insert("Note", { text: "from Node" });
await engine.flushed();
console.log(JSON.stringify(engine.status));
engine.stop();
`;

beforeAll(async () => {
  await run(["node", join(ROOT, "scripts", "build-packages.mjs"), dir, ...PACKAGES]);
  for (const name of PACKAGES) {
    const folder = join(dir, "node_modules", "@pylonsync", name);
    mkdirSync(folder, { recursive: true });
    const tarball = join(dir, `pylonsync-${name}-0.1.0.tgz`);
    await run(["tar", "-xzf", tarball, "--strip-components=1", "-C", folder]);
  }
  for (const name of DEPENDENCIES)
    symlinkSync(join(ROOT, "node_modules", name), join(dir, "node_modules", name));
  writeFileSync(join(dir, "client.mjs"), SCRIPT);
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test.each([
  ["all rows", "all"],
  ["what it asks for", "queries"],
])(
  "C7: the packed client is live in Node without sockets, with %s",
  async (_, sync) => {
    const server = await startServer(app);
    const owner = await TestClient.guest(server.url);
    const args = [server.url, owner.token ?? "", sync];
    const child = Bun.spawn(["node", join(dir, "client.mjs"), ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    let printed = "";
    const reading = (async () => {
      for await (const chunk of child.stdout) printed += new TextDecoder().decode(chunk);
    })();
    try {
      await until(() => printed.startsWith("live\n") || child.exitCode !== null, 30_000);
      await owner.insert("Note", { text: "from another client", ownerId: owner.userId });
      // The process exits by itself: a stopped engine does not keep it alive.
      expect(await child.exited).toBe(0);
      await reading;
      const status = printed.trim().split("\n").at(-1) ?? "";
      expect(JSON.parse(status)).toEqual({
        connection: "live",
        ready: true,
        stale: false,
        pending: 0,
        transport: "sse",
        outdated: false,
      });
      expect((await owner.request("POST", "/api/query/Note", {})).text).toContain("from Node");
    } finally {
      child.kill();
      await server.stop();
    }
  },
  60_000,
);
