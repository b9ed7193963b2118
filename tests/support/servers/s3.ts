import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import S3rver from "@20minutes/s3rver";

const BUCKET = "files-of-the-tests";

/**
 * A separate S3 for a test, with one bucket, that can be stopped and restarted with its contents.
 */
export class S3Server implements AsyncDisposable {
  readonly #dir = mkdtempSync(join(tmpdir(), "pylon-s3-"));
  #s3: S3rver | null = null;
  #port = 0;

  static async start(): Promise<S3Server> {
    const server = new S3Server();
    await server.up();
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The environment that makes a server store its files here. */
  get env(): Readonly<Record<string, string>> {
    return {
      PYLON_FILES_PROVIDER: "s3",
      PYLON_S3_BUCKET: BUCKET,
      PYLON_S3_ENDPOINT: this.endpoint,
      PYLON_S3_ACCESS_KEY: "S3RVER",
      PYLON_S3_SECRET_KEY: "S3RVER",
    };
  }

  async up(): Promise<void> {
    this.#s3 = new S3rver({
      port: this.#port,
      address: "127.0.0.1",
      silent: true,
      directory: this.#dir,
      configureBuckets: [{ name: BUCKET, configs: [] }],
    });
    const { port } = await this.#s3.run();
    this.#port = port;
  }

  /** From now on it refuses connections. */
  async down(): Promise<void> {
    await this.#s3?.close();
    this.#s3 = null;
  }

  /** The number of objects. This S3 can't abort a multipart upload, so parts are not counted. */
  count(): number {
    return readdirSync(this.#dir, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && entry.name.endsWith("_object"),
    ).length;
  }

  async stop(): Promise<void> {
    await this.down();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
