// Writes a database of the app next to this file, as this version of Pylon creates it. Run it
// before each release, `bun tests/server/databases/make.ts 0.2.0`, and keep the file: a test opens
// all of them with every later version.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestClient } from "../../support/client.ts";
import { appOf, startServer } from "../../support/server.ts";
import { notes } from "./app.ts";

const [name] = process.argv.slice(2);
if (name === undefined) throw new Error("Name the version: bun make.ts 0.2.0");
const dir = mkdtempSync(join(tmpdir(), "pylon-keep-"));
const file = join(dir, "app.db");
const server = await startServer(appOf(notes), { PYLON_DB_PATH: file, PYLON_IN_MEMORY: "0" });
const client = await TestClient.guest(server.url);
await client.insert("Team", { id: "red", name: "Red" });
await client.insert("Note", {
  id: "first",
  title: "Buy milk",
  rank: 1,
  size: 0.5,
  due: "2026-01-31T12:00:00Z",
  tags: ["a", "b"],
  extra: { n: [1, null] },
  teamId: "red",
});
await client.insert("Note", { id: "second", title: "Café", done: true, teamId: "red" });
await client.request("PATCH", "/api/entities/Note/second", { rank: 9 });
await client.insert("Note", { id: "gone", title: "Gone", teamId: "red" });
await client.request("DELETE", "/api/entities/Note/gone");
await server.stop();
writeFileSync(
  join(import.meta.dir, `${name}.db.gz`),
  Bun.gzipSync(readFileSync(file), { level: 9 }),
);
rmSync(dir, { recursive: true, force: true });
