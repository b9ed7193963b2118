import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../../../tests/support/client.ts";
import { ADMIN_TOKEN } from "../../../../tests/support/server.ts";
import { BACKENDS, type Backend } from "./testing/backends.ts";
import { FileClient } from "./testing/client.ts";

// The server is a separate process, so that its memory can be measured separately.

const SIZE = 300 * 1024 * 1024;
const CHUNK = new Uint8Array(256 * 1024).map((_, index) => index * 31);
/**
 * The maximum growth in MiB. The S3 SDK copies and hashes each part, and its garbage is collected
 * later: 1.2 GB add no more than this.
 */
const LIMITS = { local: 130, s3: 260 };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

test.each(["local", "s3"] as const)(
  "300 MB are uploaded and downloaded in little memory, in %s",
  async (kind) => {
    const backend = await BACKENDS[kind]();
    cleanups.push(() => backend.stop());
    const { url, residentMb } = await startProcess(backend);
    const alice = await FileClient.signIn(url);
    const before = await residentMb();
    let peak = before;
    let samples = 0;
    const sample = setInterval(
      () =>
        void residentMb().then((now) => {
          samples += 1;
          peak = Math.max(peak, now);
        }),
      25,
    );
    cleanups.push(() => clearInterval(sample));

    const { status, id, body } = await alice.upload(content());
    expect({ status, size: body["size"] }).toEqual({ status: 201, size: SIZE });
    const response = await alice.download(id);
    let size = 0;
    for await (const chunk of response.body ?? []) size += chunk.length;
    expect(size).toBe(SIZE);
    // A reader that does not read blocks only itself.
    const slow = (await alice.download(id)).body?.getReader();
    await slow?.read();
    const sampled = samples;
    await until(() => samples >= sampled + 20);
    await slow?.cancel();
    expect(peak - before).toBeLessThan(LIMITS[kind]);
  },
  60_000,
);

function content(): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(CHUNK);
      sent += CHUNK.length;
      if (sent >= SIZE) controller.close();
    },
  });
}

async function startProcess(
  backend: Backend,
): Promise<{ url: string; residentMb: () => Promise<number> }> {
  const dir = mkdtempSync(join(tmpdir(), "pylon-memory-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "testing", "serve.ts")], {
    env: {
      ...process.env,
      ...backend.env,
      PYLON_PORT: "0",
      PYLON_HOST: "127.0.0.1",
      PYLON_SINGLE_PORT: "1",
      PYLON_DB_PATH: join(dir, "pylon.db"),
      PYLON_RATE_LIMIT_MAX: "0",
      PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
      PYLON_LOG_LEVEL: "error",
    },
    stdout: "pipe",
    stderr: "inherit",
  });
  cleanups.push(async () => {
    child.kill();
    await child.exited;
  });
  const { value } = await child.stdout.getReader().read();
  const url = new TextDecoder().decode(value).trim();
  const residentMb = async (): Promise<number> =>
    Number(/VmRSS:\s+(\d+) kB/.exec(await Bun.file(`/proc/${child.pid}/status`).text())?.[1]) /
    1024;
  return { url, residentMb };
}
