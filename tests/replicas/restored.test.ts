import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { Client } from "pg";
import { TestClient, until } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

// The database is lost, and an older copy of it takes its place.

const app = appOf(
  buildManifest({
    name: "restored",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string(), ownerId: field.string().owner() })],
    policies: [policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" })],
  }),
);

/** Copies a database that no server uses. @returns the URL of the copy */
async function copyOf(url: string): Promise<string> {
  const copy = new URL(url);
  copy.pathname += "_copy";
  const server = new Client({ connectionString: sharedPostgresUrl() });
  await server.connect();
  const [from, to] = [new URL(url), copy].map(({ pathname }) => pathname.slice(1));
  await server.query(`CREATE DATABASE "${to}" TEMPLATE "${from}"`);
  await server.end();
  return copy.href;
}

function connect({ url, token }: TestClient, sync: "all" | "queries"): SyncEngine {
  const engine = createSyncEngine(url, {
    token: token ?? "",
    reconnectDelay: 30,
    persist: false,
    sync,
    storage: createWriteThroughStorage({}, () => undefined),
  });
  engine.start();
  return engine;
}

test.each(["all", "queries"] as const)(
  "a client of %s that has seen later rows has those of the restored copy, and its own writes",
  async (sync) => {
    const url = await createDatabase(sharedPostgresUrl());
    const port = String(await freePort());
    const serve = (database: string): Promise<TestServer> =>
      startServer(app, { DATABASE_URL: database, PYLON_PORT: port });
    let server = await serve(url);
    const ann = await TestClient.guest(server.url);
    await ann.insert("Note", { id: "kept", text: "as copied" });
    await server.stop();
    const copy = await copyOf(url);

    server = await serve(url);
    const engine = connect(ann, sync);
    const list = engine.query("Note", {});
    list.subscribe(() => undefined);
    const texts = (): string[] => list.getSnapshot().map(({ text }) => String(text));
    await ann.request("PATCH", "/api/entities/Note/kept", { text: "later" });
    for (const id of ["lost1", "lost2"]) await ann.insert("Note", { id, text: id });
    await until(() => texts().toSorted().join() === "later,lost1,lost2");
    await server.stop();
    await engine.insert("Note", { id: "unsent", text: "unsent" });
    engine.stop();

    server = await serve(copy);
    // Without a new log, its numbers would be those that the client has seen.
    for (let n = 0; n < 10; n += 1) await ann.insert("Note", { id: `new${n}`, text: "new" });
    engine.start();
    await engine.flushed();
    const { body } = await ann.request("GET", "/api/entities/Note");
    const stored = (body["data"] as { readonly text: string }[]).map(({ text }) => text);
    expect(new Set(stored)).toEqual(new Set(["as copied", "new", "unsent"]));
    await until(() => texts().toSorted().join() === stored.toSorted().join());
    await ann.insert("Note", { id: "live", text: "live" });
    await until(() => texts().includes("live"));
    engine.stop();
    await server.stop();
  },
  60_000,
);
