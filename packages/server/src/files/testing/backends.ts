import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3Server } from "../../../../../tests/support/servers/s3.ts";

/** A real storage for one test file. */
export interface Backend {
  readonly kind: "local" | "s3";
  /** The environment that makes a server use it. */
  readonly env: Readonly<Record<string, string>>;
  /** The number of objects in it. */
  count(): Promise<number>;
  stop(): Promise<void>;
}

/** An empty storage of each kind. */
export const BACKENDS: Readonly<Record<Backend["kind"], () => Promise<Backend>>> = {
  local: startLocal,
  s3: startS3,
};

function startLocal(): Promise<Backend> {
  const dir = mkdtempSync(join(tmpdir(), "pylon-files-"));
  return Promise.resolve({
    kind: "local",
    env: { PYLON_FILES_DIR: dir },
    count: () => Promise.resolve(filesIn(dir).length),
    stop: () => Promise.resolve(rmSync(dir, { recursive: true, force: true })),
  });
}

/** A bucket on an S3 server on this machine. */
export async function startS3(): Promise<Backend & { readonly endpoint: string }> {
  const server = await S3Server.start();
  return {
    kind: "s3",
    endpoint: server.endpoint,
    env: server.env,
    count: () => Promise.resolve(server.count()),
    stop: () => server.stop(),
  };
}

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );
}
