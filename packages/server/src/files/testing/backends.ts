import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import S3rver from "@20minutes/s3rver";

const BUCKET = "files-of-the-tests";

/** A storage that really stores, for one test file. */
export interface Backend {
  readonly kind: "local" | "s3";
  /** What tells a server to use it. */
  readonly env: Readonly<Record<string, string>>;
  /** How many objects it holds. */
  count(): Promise<number>;
  stop(): Promise<void>;
}

export const BACKENDS: Readonly<Record<Backend["kind"], () => Promise<Backend>>> = { local: startLocal, s3: startS3 };

function startLocal(): Promise<Backend> {
  const dir = mkdtempSync(join(tmpdir(), "pylon-files-"));
  return Promise.resolve({
    kind: "local",
    env: { PYLON_FILES_DIR: dir },
    count: () => Promise.resolve(filesIn(dir).length),
    stop: () => Promise.resolve(rmSync(dir, { recursive: true, force: true })),
  });
}

/** @param port 0 for a free one */
export async function startS3(port = 0, dir = mkdtempSync(join(tmpdir(), "pylon-s3-"))): Promise<Backend & { readonly endpoint: string }> {
  const s3 = new S3rver({ port, address: "127.0.0.1", silent: true, directory: dir, configureBuckets: [{ name: BUCKET, configs: [] }] });
  const { port: taken } = await s3.run();
  const endpoint = `http://127.0.0.1:${taken}`;
  return {
    kind: "s3",
    endpoint,
    env: { PYLON_FILES_PROVIDER: "s3", PYLON_S3_BUCKET: BUCKET, PYLON_S3_ENDPOINT: endpoint, PYLON_S3_ACCESS_KEY: "S3RVER", PYLON_S3_SECRET_KEY: "S3RVER" },
    // This S3 does not know how to give up an upload in parts, so the parts are not counted.
    count: () => Promise.resolve(filesIn(dir).filter((name) => name.endsWith("_object")).length),
    stop: async () => {
      await s3.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
}
