import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FnDefinition, ShardDefinition } from "@pylonsync/functions";
import type { WorkflowDefinition } from "@pylonsync/workflows";
import type { Manifest } from "@pylonsync/sdk";
import {
  createServer,
  loadConfig,
  type LoadedApp,
  type PylonServer,
  type ServerOptions,
} from "@pylonsync/server";
import { createDatabase, sharedPostgresUrl } from "./servers/postgres.ts";

export const ADMIN_TOKEN = "an-admin-token-for-tests";

export interface TestServer {
  readonly url: string;
  readonly server: PylonServer;
  readonly stop: () => Promise<void>;
}

/** An app in the form that the loader returns. */
export function appOf(
  manifest: Manifest,
  functions: Readonly<Record<string, FnDefinition>> = {},
  workflows: readonly WorkflowDefinition[] = [],
  shards: Readonly<Record<string, ShardDefinition>> = {},
): LoadedApp {
  return {
    dir: ".",
    manifest: JSON.parse(JSON.stringify(manifest)) as unknown,
    manifestModule: manifest,
    functions: new Map(Object.entries(functions)),
    workflows: new Map(
      workflows.map((one) => [one.name, { ...one, file: `workflows/${one.name}.ts` }]),
    ),
    shards: new Map(Object.entries(shards)),
    web: null,
    diagnostics: [],
  };
}

/** Which store the tests' servers use: `npm test` runs the tests of this folder on both. */
const USES_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";

/**
 * A real server on a free port with its own database. Not in dev mode, so entities without a policy
 * are closed.
 */
export async function startServer(
  app: LoadedApp,
  env: Readonly<Record<string, string>> = {},
  platform: ServerOptions["platform"] = {},
  roomTimes: ServerOptions["roomTimes"] = {},
): Promise<TestServer> {
  // Without a database file uploads would be stored in the working folder.
  const uploads = mkdtempSync(join(tmpdir(), "pylon-uploads-"));
  const values = {
    PYLON_FILES_DIR: uploads,
    PYLON_PORT: "0",
    PYLON_HOST: "127.0.0.1",
    ...(USES_POSTGRES && env["PYLON_DB_PATH"] === undefined
      ? { DATABASE_URL: await createDatabase(sharedPostgresUrl()) }
      : { PYLON_IN_MEMORY: "1" }),
    PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
    PYLON_LOG_LEVEL: "error",
    PYLON_RATE_LIMIT_MAX: "0",
    PYLON_FN_RATE_LIMIT_MAX: "0",
    PYLON_MAX_CONNECTIONS_PER_IP: "10000",
    ...env,
  };
  const server = createServer({
    app,
    config: loadConfig(values),
    env: values,
    platform,
    roomTimes,
  });
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(uploads, { recursive: true, force: true });
  };
  try {
    await server.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: server.url, server, stop };
}
