import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { Client } from "pg";
import type { CollabDocument } from "../../packages/loro/src/collab-document.ts";
import { EngineDocuments } from "../../packages/loro/src/engine-documents.ts";
import { LoroRegistry } from "../../packages/loro/src/registry.ts";
import { TestClient, until } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

// Two replicas, whose database is replaced by an older copy while pages with documents stay open.

const app = appOf(
  buildManifest({
    name: "restored-documents",
    version: "1.0.0",
    entities: [entity("Note", { body: field.richtext() })],
    policies: [policy({ name: "notes", entity: "Note", allow: "auth.userId != null" })],
  }),
);

/** A page that shows the documents of rows. */
class Page implements Disposable {
  readonly engine: SyncEngine;
  readonly #documents: EngineDocuments;

  constructor(url: string, token: string | null) {
    this.engine = createSyncEngine(url, {
      token: token ?? "",
      reconnectDelay: 30,
      persist: false,
      storage: createWriteThroughStorage({}, () => undefined),
    });
    this.engine.start();
    this.#documents = new EngineDocuments(this.engine, new LoroRegistry());
  }

  show(id: string): CollabDocument {
    return this.#documents.use("Note", id).document;
  }

  [Symbol.dispose](): void {
    this.#documents.close();
    this.engine.stop();
  }
}

/** Replaces the database by one of the same name with the content that another has. */
async function restore(url: string, backup: string): Promise<void> {
  const server = new Client({ connectionString: sharedPostgresUrl() });
  await server.connect();
  const [name, from] = [url, backup].map((one) => new URL(one).pathname.slice(1));
  await server.query(`DROP DATABASE "${name}"`);
  await server.query(`CREATE DATABASE "${name}" TEMPLATE "${from}"`);
  await server.end();
}

async function backupOf(url: string): Promise<string> {
  const copy = new URL(url);
  copy.pathname += "_backup";
  const server = new Client({ connectionString: sharedPostgresUrl() });
  await server.connect();
  await server.query(
    `CREATE DATABASE "${copy.pathname.slice(1)}" TEMPLATE "${new URL(url).pathname.slice(1)}"`,
  );
  await server.end();
  return copy.href;
}

test("pages on both replicas have the restored text, and go on editing it together", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  const ports = [String(await freePort()), String(await freePort())];
  const serve = (): Promise<TestServer[]> =>
    Promise.all(ports.map((port) => startServer(app, { DATABASE_URL: url, PYLON_PORT: port })));
  const stop = (all: readonly TestServer[]): Promise<unknown> =>
    Promise.all(all.map((one) => one.stop()));
  let replicas = await serve();
  const [one, two] = replicas.map((replica) => replica.url);
  const user = await TestClient.guest(one ?? "");
  const id = await user.insert("Note", { body: "kept" });
  using ann = new Page(one ?? "", user.token);
  using bob = new Page(two ?? "", user.token);
  const [anns, bobs] = [ann.show(id), bob.show(id)];
  const show = (text: string): Promise<void> =>
    until(() => anns.text("body") === text && bobs.text("body") === text);
  await show("kept");
  await until(() => anns.doc.frontiers().length > 0 && bobs.doc.frontiers().length > 0);
  anns.setText("body", "kept and saved");
  await show("kept and saved");
  await stop(replicas);
  const backup = await backupOf(url);

  replicas = await serve();
  anns.setText("body", "kept and saved, lost");
  await show("kept and saved, lost");
  bobs.setText("body", "kept and saved, lost too");
  await show("kept and saved, lost too");
  await stop(replicas);
  bobs.setText("body", "kept and saved, lost too, unsent");
  await restore(url, backup);

  replicas = await serve();
  const column = async (): Promise<unknown> =>
    (await user.request("GET", `/api/entities/Note/${id}`)).body["body"];
  // What was lost is gone from all pages; what had not been sent is merged into the rest.
  await until(async () => {
    const text = anns.text("body");
    return text === bobs.text("body") && text === (await column()) && text.includes("unsent");
  });
  expect(anns.text("body")).toContain("and saved");
  expect(anns.text("body")).not.toContain("lost");
  const later = `${anns.text("body")}, later`;
  anns.setText("body", later);
  await show(later);
  await until(async () => (await column()) === later);
  await stop(replicas);
}, 60_000);
