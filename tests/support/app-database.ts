import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "@pylonsync/sdk";
import { loadConfig, openStore, type LoadedApp } from "@pylonsync/server";
import { appOf, startServer, type TestServer } from "./server.ts";
import { createDatabase, sharedPostgresUrl } from "./servers/postgres.ts";

type Store = Awaited<ReturnType<typeof openStore>>;

/** A database that outlives the servers of a test, each of which may serve another version. */
export class AppDatabase implements AsyncDisposable {
  readonly #dir = mkdtempSync(join(tmpdir(), "pylon-versions-"));
  readonly #servers: TestServer[] = [];
  readonly #env: Readonly<Record<string, string>>;

  private constructor(database: Readonly<Record<string, string>>) {
    this.#env = { ...database, PYLON_FILES_DIR: join(this.#dir, "files") };
  }

  /** With the store that the test runs on; `postgres`: with that one. */
  static async create(store = process.env["PYLON_TEST_STORE"]): Promise<AppDatabase> {
    if (store === "postgres")
      return new AppDatabase({ DATABASE_URL: await createDatabase(sharedPostgresUrl()) });
    const file = join(mkdtempSync(join(tmpdir(), "pylon-versions-")), "app.db");
    return new AppDatabase({ PYLON_DB_PATH: file, PYLON_IN_MEMORY: "0" });
  }

  /** Its location, as environment variables of a server. */
  get env(): Readonly<Record<string, string>> {
    return this.#env;
  }

  /** Opens it without a server, as the command does. */
  open(): Promise<Store> {
    const { database } = loadConfig({ ...this.#env, PYLON_DEV_MODE: "1" });
    return openStore(database, { startTimeoutMs: 0, onState: () => undefined });
  }

  /**
   * Serves a version of the app, concurrently with others or after them.
   *
   * @param parts its parts in addition to the manifest
   */
  async serve(manifest: Manifest, parts: Partial<LoadedApp> = {}): Promise<TestServer> {
    const server = await startServer({ ...appOf(manifest), ...parts }, this.#env);
    this.#servers.push(server);
    return server;
  }

  /** Stops all servers. */
  async stop(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
    const { PYLON_DB_PATH: file } = this.#env;
    if (file !== undefined) rmSync(join(file, ".."), { recursive: true, force: true });
  }
}
