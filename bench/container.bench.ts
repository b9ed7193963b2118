// The throughput of a small container: ours and a bare Bun server, each within the same limits of
// processor and memory. Load and Postgres are outside the limits. docs/deploy/sizing.md has its
// figures from here.
import { ContainerLimits, peakResidentBytes } from "../tests/support/container-limits.ts";
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { insertNote, NOTE } from "./lib/compare.ts";
import { openCrowd } from "./lib/crowd.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";

const GIB = 1024 ** 3;
const SIZES = [
  { cpus: 0.25, memoryBytes: 0.5 * GIB },
  { cpus: 0.5, memoryBytes: GIB },
  { cpus: 1, memoryBytes: 2 * GIB },
];
const ROUNDS = 3;
const LOAD = { connections: 32, seconds: 2 };
const SOCKETS = 500;
const BURST = 20;

interface Round {
  readonly value: number;
  readonly baseline: number;
}

await using postgres = await PostgresServer.start();
for (const size of SIZES) {
  const name = `container-${size.cpus}`;
  await withServers(size, "bare", "", async (pylon, bare) => {
    const token = await guestToken(pylon.url);
    const ours = rawRequest("GET", await insertNote(pylon.url, token), { token });
    const theirs = rawRequest("GET", await insertNote(bare.url));
    report(
      `${name}-get`,
      "requests/s",
      await rounds(
        () => load(pylon.url, ours, LOAD),
        () => load(bare.url, theirs, LOAD),
      ),
    );
    const insert = rawRequest("POST", "/api/entities/Note", { token, body: NOTE });
    const bareInsert = rawRequest("POST", "/api/entities/Note", { body: NOTE });
    report(
      `${name}-insert-sqlite`,
      "requests/s",
      await rounds(
        () => load(pylon.url, insert, LOAD),
        () => load(bare.url, bareInsert, LOAD),
      ),
    );
    report(`${name}-live`, "messages/s", await live(pylon, bare, token));
    report(`${name}-memory-peak`, "bytes", [
      { value: peakResidentBytes(pylon.pid), baseline: peakResidentBytes(bare.pid) },
    ]);
  });
  await withServers(size, "bare-postgres", "postgres", async (pylon, bare) => {
    const insert = rawRequest("POST", "/api/entities/Note", {
      token: await guestToken(pylon.url),
      body: NOTE,
    });
    const bareInsert = rawRequest("POST", "/api/entities/Note", { body: NOTE });
    report(
      `${name}-insert-postgres`,
      "requests/s",
      await rounds(
        () => load(pylon.url, insert, LOAD),
        () => load(bare.url, bareInsert, LOAD),
      ),
    );
  });
}

/** Runs a measurement on both servers, each within its own limits. */
async function withServers(
  size: (typeof SIZES)[number],
  bareName: "bare" | "bare-postgres",
  store: "" | "postgres",
  measure: (pylon: BenchServer, bare: BenchServer) => Promise<void>,
): Promise<void> {
  const start = async (
    name: "pylon" | "bare" | "bare-postgres",
  ): Promise<{ server: BenchServer; limits: ContainerLimits }> => {
    const limits = ContainerLimits.create(size);
    if (limits === null)
      throw new Error("This bench needs cgroups that can be written: run it as root on Linux.");
    const url = store === "postgres" ? await postgres.createDatabase() : "";
    return { server: await startServer(name, url, {}, (command) => limits.wrap(command)), limits };
  };
  const [pylon, bare] = [await start("pylon"), await start(bareName)];
  await measure(pylon.server, bare.server);
  for (const { server, limits } of [pylon, bare]) {
    await server.stop();
    if (limits.kills > 0) throw new Error("The kernel killed a server for want of memory.");
    limits[Symbol.dispose]();
  }
}

async function rounds(
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<Round[]> {
  const measured: Round[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const value = await ours();
    const baseline = await theirs();
    // The first round warms both up.
    if (round > 0) measured.push({ value, baseline });
  }
  return measured;
}

/** Changes that all sockets receive, against a bare publish of the same text. */
async function live(pylon: BenchServer, bare: BenchServer, token: string): Promise<Round[]> {
  const ours = await openCrowd(`${pylon.url.replace("http", "ws")}/ws`, SOCKETS, token);
  const theirs = await openCrowd(bare.url.replace("http", "ws"), SOCKETS);
  const text = JSON.stringify({
    seq: 1,
    entity: "Note",
    row_id: "0".repeat(40),
    kind: "insert",
    data: { id: "0".repeat(40), ...NOTE, ownerId: "0".repeat(40) },
    timestamp: new Date().toISOString(),
  });
  let sent = 0;
  const burst = async (one: () => Promise<unknown>): Promise<number> => {
    const started = performance.now();
    for (let index = 0; index < BURST; index += 1) await one();
    return started;
  };
  const measured: Round[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    sent += BURST;
    const oursStarted = await burst(() => insertNote(pylon.url, token));
    await ours.received(sent);
    const value = (SOCKETS * BURST * 1000) / (performance.now() - oursStarted);
    const theirsStarted = await burst(() =>
      fetch(`${bare.url}/publish`, { method: "POST", body: text }),
    );
    await theirs.received(sent);
    if (round > 0)
      measured.push({
        value,
        baseline: (SOCKETS * BURST * 1000) / (performance.now() - theirsStarted),
      });
  }
  ours.stop();
  theirs.stop();
  return measured;
}
