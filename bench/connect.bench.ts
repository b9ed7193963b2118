// CPU of the server for a returning client: handshake, session, catching up from its cursor, hello.
// With a full change log, against the same server with an empty one: the cost of a connect must not
// grow with the log.
import { cpuMs } from "./lib/cpu.ts";
import { openCrowd } from "./lib/crowd.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";
import { NOTE } from "./lib/compare.ts";

const LOG = 100_000;
const PUSH = 1000;
const SOCKETS = 3000;
const ROUNDS = 5;

const full = await startServer("pylon");
const empty = await startServer("pylon");
const fullToken = await guestToken(full.url);
const emptyToken = await guestToken(empty.url);
await write(full, fullToken, LOG);
await write(empty, emptyToken, 1);
const rounds: { value: number; baseline: number }[] = [];
for (let index = 0; index <= ROUNDS; index += 1) {
  const value = await cpuOfConnect(full, fullToken);
  const baseline = await cpuOfConnect(empty, emptyToken);
  // The first round warms both up.
  if (index > 0) rounds.push({ value, baseline });
}
await full.stop();
await empty.stop();
report("connect", "ms of CPU", rounds);

async function write({ url }: BenchServer, token: string, count: number): Promise<void> {
  for (let done = 0; done < count; done += PUSH) {
    const changes = Array.from({ length: Math.min(PUSH, count - done) }, (_, index) => ({
      entity: "Note",
      row_id: `n${done + index}`,
      kind: "insert",
      data: NOTE,
    }));
    const answer = await fetch(`${url}/api/sync/push`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
      body: JSON.stringify({ changes, results: true }),
    });
    const { applied } = (await answer.json()) as { applied: number };
    if (applied !== changes.length) throw new Error(`Only ${applied} changes were applied.`);
  }
}

async function cpuOfConnect(server: BenchServer, token: string): Promise<number> {
  const answer = await fetch(`${server.url}/api/sync/pull?since=0&limit=0`);
  const { cursor } = (await answer.json()) as { cursor: { last_seq: number } };
  const before = cpuMs(server.pid);
  const url = `${server.url.replace("http", "ws")}/ws?since=${cursor.last_seq}`;
  const crowd = await openCrowd(url, SOCKETS, token);
  await crowd.received(1);
  const used = cpuMs(server.pid) - before;
  crowd.stop();
  return used / SOCKETS;
}
