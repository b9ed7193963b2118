import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestClient, until } from "../support/client.ts";
import {
  ContainerLimits,
  peakResidentBytes,
  processorSeconds,
  withOpenFiles,
} from "../support/container-limits.ts";
import { Crowd } from "../support/crowd.ts";
import { freePort } from "../support/servers/free-port.ts";
import { IDLE_SOCKETS } from "../support/sizing-page.ts";

// The executable in the smallest container that AWS Fargate has: 0.25 vCPU, 0.5 GB.

const MIB = 1024 * 1024;
const MEMORY = 512 * MIB;
const USERS = 200;
const APP = `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "small", version: "1.0.0", access: "public",
  entities: [entity("Note", { text: field.string() })] });
`;

const dir = mkdtempSync(join(tmpdir(), "pylon-small-"));
const executable = join(dir, "bin", "pylon");
const limits = ContainerLimits.create({ cpus: 0.25, memoryBytes: MEMORY });

beforeAll(async () => {
  const build = Bun.spawn(
    ["node", join(import.meta.dir, "..", "..", "scripts", "build-executable.mjs"), executable],
    { stdout: "ignore", stderr: "inherit" },
  );
  expect(await build.exited).toBe(0);
  mkdirSync(join(dir, "app"));
  writeFileSync(join(dir, "app", "app.ts"), APP);
  if (limits === null)
    console.warn(
      "This machine has no cgroup that can be written: the server runs without limits, and " +
        "its memory and processor time are measured instead.",
    );
}, 60_000);
afterAll(() => {
  limits?.[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

interface Server {
  readonly process: Bun.Subprocess;
  readonly url: string;
}

async function startServer(port: number): Promise<Server> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: dir,
    PYLON_SINGLE_PORT: "1",
    PYLON_TRUST_PROXY_HOPS: "1",
    PYLON_LOG_LEVEL: "warn",
    PYLON_RATE_LIMIT_MAX: "0",
    PYLON_DB_PATH: join(dir, "pylon.db"),
    PYLON_FILES_DIR: join(dir, "uploads"),
  };
  const command = [executable, "start", join(dir, "app"), "--port", String(port)];
  const child = Bun.spawn(limits?.wrap(command) ?? withOpenFiles(command), {
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  const url = `http://127.0.0.1:${port}`;
  await until(
    async () =>
      child.exitCode !== null ||
      (await fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )),
    30_000,
  );
  expect(child.exitCode).toBe(null);
  if (limits !== null) expect(limits.holds(child.pid)).toBe(true);
  return { process: child, url };
}

/** A load balancer removes a task after this many failures in a row, see docs/deploy/health.md. */
const UNHEALTHY = 3;

/** Requests `/health` continuously. */
class Probe {
  answers = 0;
  /** Failed responses, and timeouts for which a load balancer would remove the server. */
  readonly faults: string[] = [];
  #late = 0;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(url: string) {
    this.#done = this.#run(url);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #run(url: string): Promise<void> {
    while (!this.#isOver) {
      const status = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5_000) }).then(
        (answer) => String(answer.status),
        String,
      );
      // A request may wait behind thousands of connecting sockets, on a quarter of a processor.
      this.#late = status.startsWith("TimeoutError") ? this.#late + 1 : 0;
      if (status === "200") this.answers += 1;
      else if (this.#late === 0 || this.#late >= UNHEALTHY) this.faults.push(status);
      await Bun.sleep(100);
    }
  }
}

interface Usage {
  readonly what: string;
  readonly mib: number;
  readonly processorSeconds: number;
}

function usageOf({ process: { pid } }: Server, what: string): Usage {
  const mib = Math.round(peakResidentBytes(pid) / MIB);
  return { what, mib, processorSeconds: processorSeconds(pid) };
}

/** Creates the guests one after another: in parallel they would be a load spike themselves. */
async function guestTokens(url: string): Promise<string[]> {
  const tokens: string[] = [];
  for (let index = 0; index < USERS; index += 1)
    tokens.push((await TestClient.guest(url)).token ?? "");
  return tokens;
}

test(`${IDLE_SOCKETS} idle sockets receive a change, and reconnect after a restart`, async () => {
  const port = await freePort();
  let server = await startServer(port);
  const seen: Usage[] = [];
  const note = (what: string): void => void seen.push(usageOf(server, what));
  try {
    note("started");
    const tokens = await guestTokens(server.url);
    const writer = new TestClient(server.url, tokens[0] ?? "");
    await using crowd = new Crowd(`ws://127.0.0.1:${port}/ws`, IDLE_SOCKETS, tokens);
    let probe = new Probe(server.url);
    await crowd.until(({ open }) => open === IDLE_SOCKETS, 60_000);
    note("all open");
    await writer.insert("Note", { text: "mark-1" });
    await crowd.until(({ heard }) => heard["mark-1"] === IDLE_SOCKETS, 30_000);
    note("a change heard by all");
    await probe.stop();
    expect(probe.faults).toEqual([]);

    server.process.kill("SIGTERM");
    expect(await server.process.exited).toBe(0);
    server = await startServer(port);
    probe = new Probe(server.url);
    await crowd.until(
      ({ open, opened }) => open === IDLE_SOCKETS && opened >= 2 * IDLE_SOCKETS,
      90_000,
    );
    note("all back");
    await writer.insert("Note", { text: "mark-2" });
    await crowd.until(({ heard }) => heard["mark-2"] === IDLE_SOCKETS, 30_000);
    note("another change heard by all");
    await probe.stop();
    expect(probe.faults).toEqual([]);
    expect(probe.answers).toBeGreaterThan(0);
    // No socket received a change twice.
    expect(crowd.report.heard).toEqual({ "mark-1": IDLE_SOCKETS, "mark-2": IDLE_SOCKETS });
    for (const { mib } of seen) expect(mib).toBeLessThan(MEMORY / MIB);
    expect(limits?.kills ?? 0).toBe(0);
  } finally {
    console.log(
      seen
        .map(
          ({ what, mib, processorSeconds: seconds }) =>
            `${what}: at most ${mib} MiB, ${seconds} s of processor`,
        )
        .join("\n"),
    );
    server.process.kill("SIGKILL");
    await server.process.exited;
  }
}, 240_000);
