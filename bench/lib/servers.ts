import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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
  const child = Bun.spawn(
    wrap([process.execPath, join(import.meta.dir, `${name}-server.ts`), join(dir, "bench.db")]),
    {
      env: { ...process.env, DATABASE_URL: databaseUrl, ...variables },
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const { value } = await child.stdout.getReader().read();
  const url = new TextDecoder().decode(value).trim().replace(/\/$/, "");
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

/** Signs in a guest. @returns the token */
export async function guestToken(url: string): Promise<string> {
  const answer = await fetch(`${url}/api/auth/guest`, { method: "POST" });
  return ((await answer.json()) as { token: string }).token;
}
