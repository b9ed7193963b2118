// Messages that three replicas deliver per second of processor time, against a single replica: the
// overhead of several replicas.
import { readFileSync } from "node:fs";
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { insertNote } from "./lib/compare.ts";
import { openCrowd, type Crowd } from "./lib/crowd.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";

const SOCKETS = 500;
const BURST = 100;
const ROUNDS = 5;
const TICKS_PER_SECOND = 100;

await using postgres = await PostgresServer.start();
const one = await cluster(1);
const three = await cluster(3);
const rounds: { value: number; baseline: number }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const value = await perCpuSecond(three);
  const baseline = await perCpuSecond(one);
  if (round > 0) rounds.push({ value, baseline });
}
for (const { servers, crowds } of [one, three]) {
  for (const crowd of crowds) crowd.stop();
  for (const server of servers) await server.stop();
}
report("replica-scale", "messages per CPU second", rounds);
process.exit(0);

interface Members {
  readonly servers: readonly BenchServer[];
  readonly crowds: readonly Crowd[];
  readonly token: string;
  sent: number;
}

async function cluster(size: number): Promise<Members> {
  const url = await postgres.createDatabase();
  const servers: BenchServer[] = [];
  for (let index = 0; index < size; index += 1) servers.push(await startServer("pylon", url));
  const token = await guestToken(servers[0]?.url ?? "");
  const crowds = await Promise.all(
    servers.map((server) => openCrowd(`${server.url.replace("http", "ws")}/ws`, SOCKETS, token)),
  );
  return { servers, crowds, token, sent: 0 };
}

/**
 * Sends a burst through the replicas in turn, waits for the last socket, and divides the number of
 * delivered messages by the processor time.
 */
async function perCpuSecond(members: Members): Promise<number> {
  const { servers, crowds, token } = members;
  const before = cpuSeconds(servers);
  for (let index = 0; index < BURST; index += 1)
    await insertNote(servers[index % servers.length]?.url ?? "", token);
  members.sent += BURST;
  await Promise.all(crowds.map((crowd) => crowd.received(members.sent)));
  return (SOCKETS * servers.length * BURST) / (cpuSeconds(servers) - before);
}

function cpuSeconds(servers: readonly BenchServer[]): number {
  return servers.reduce((sum, { pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }, 0);
}
