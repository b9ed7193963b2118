import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../tests/support/servers/free-port.ts";
import { RUNTIME_ENV } from "../../packages/cli/bin/runtime-env.mjs";
import { bundle, PROGRAMS } from "../../packages/cli/scripts/bundle.ts";

/** A server in a separate process. */
export interface BenchServer {
  readonly url: string;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/**
 * Starts `bench/lib/<name>-server.ts` with its own database.
 *
 * @param databaseUrl the URL of a Postgres database, in place of a SQLite file
 * @param variables added to its environment
 * @param wrap turns the command into one that runs within limits
 */
export async function startServer(
  name: "bare" | "bare-join" | "bare-postgres" | "bare-search" | "bare-shard" | "pylon",
  databaseUrl = "",
  variables: Readonly<Record<string, string>> = {},
  wrap = (command: readonly string[]): string[] => [...command],
): Promise<BenchServer> {
  const dir = mkdtempSync(join(tmpdir(), "pylon-bench-"));
  const server = join(import.meta.dir, `${name}-server.ts`);
  return started(wrap([process.execPath, server, join(dir, "bench.db")]), dir, {
    DATABASE_URL: databaseUrl,
    ...variables,
  });
}

/**
 * Starts the command as it is published, a bundle, with the app of the benches: what users run.
 * The sources use more memory, and more CPU.
 */
export async function startPublished(): Promise<BenchServer> {
  // Within the repository, so that it finds the packages that are not in the bundle.
  const folder = join(import.meta.dir, "..", ".cache", "published");
  for (const name of Object.keys(PROGRAMS)) await bundle(name as keyof typeof PROGRAMS, folder);
  const dir = mkdtempSync(join(tmpdir(), "pylon-bench-"));
  const app = join(import.meta.dir, "..", "app");
  return started([process.execPath, join(folder, "main.js"), "start", app], dir, {
    DATABASE_URL: "",
    PYLON_DB_PATH: join(dir, "bench.db"),
    PYLON_PORT: String(await freePorts(1)),
    PYLON_SINGLE_PORT: "1",
    PYLON_LOG_LEVEL: "warn",
    PYLON_RATE_LIMIT_MAX: "0",
    PYLON_MAX_CONNECTIONS_PER_IP: "1000000",
  });
}

/** @param dir of its database, which is removed */
async function started(
  command: readonly string[],
  dir: string,
  variables: Readonly<Record<string, string>>,
): Promise<BenchServer> {
  const child = Bun.spawn([...command], {
    // As the launcher of the command starts it.
    env: { ...RUNTIME_ENV, ...process.env, ...variables },
    stdout: "pipe",
    stderr: "inherit",
  });
  const url = await firstUrl(child.stdout);
  return {
    url,
    pid: child.pid,
    stop: async () => {
      child.kill();
      await child.exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Waits until the server says where it is. The stream stays open for what it says later. */
async function firstUrl(output: ReadableStream<Uint8Array>): Promise<string> {
  const reader = output.getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`The server has ended: ${text}`);
    text += new TextDecoder().decode(value);
    const [url] = /http:\S+(?=\s)/.exec(text) ?? [];
    if (url !== undefined) return url.replace(/\/$/, "");
  }
}

/** Signs in a guest. @returns the token */
export async function guestToken(url: string): Promise<string> {
  const answer = await fetch(`${url}/api/auth/guest`, { method: "POST" });
  return ((await answer.json()) as { token: string }).token;
}
