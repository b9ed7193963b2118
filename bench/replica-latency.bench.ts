// The time until a client of another replica receives a change, against a client of the replica
// that made it: the median, in milliseconds.
import { bearerProtocol } from "@pylonsync/protocol";
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { insertNote } from "./lib/compare.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const CHANGES = 150;
const PAUSE_MS = 10;
const ROUNDS = 5;

await using postgres = await PostgresServer.start();
const url = await postgres.createDatabase();
const own = await startServer("pylon", url);
const other = await startServer("pylon", url);
const token = await guestToken(own.url);
const [near, far] = await Promise.all([arrivals(own.url), arrivals(other.url)]);

const rounds: { value: number; baseline: number }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const [slow, fast]: [number[], number[]] = [[], []];
  for (let index = 0; index < CHANGES; index += 1) {
    const sent = performance.now();
    const both = Promise.all([near.next(), far.next()]);
    await insertNote(own.url, token);
    const [atNear, atFar] = await both;
    fast.push(atNear - sent);
    slow.push(atFar - sent);
    await Bun.sleep(PAUSE_MS);
  }
  if (round > 0) rounds.push({ value: median(slow), baseline: median(fast) });
}
await own.stop();
await other.stop();
report("replica-latency", "ms", rounds);
process.exit(0);

/** The times at which changes arrive at a socket. */
async function arrivals(server: string): Promise<{ next: () => Promise<number> }> {
  const socket = new WebSocket(`${server.replace("http", "ws")}/ws`, [bearerProtocol(token)]);
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  return {
    next: () =>
      new Promise((resolve) => {
        socket.onmessage = () => resolve(performance.now());
      }),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
