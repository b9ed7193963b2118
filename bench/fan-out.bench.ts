// Changes to 1,000 WebSockets, and to 1,000 event streams: committed, matched against the policy
// and delivered, against a bare `publish` of the same text to sockets. In bursts, which share
// writes to a socket, and one at a time, where the kernel's share is the largest. Measured by the
// CPU of the server, so that neither the clients nor other work of the machine counts. Both servers
// have been under load before, because the runtime compiles the code of a server in its first tens
// of thousands of requests: in a burst after 500 inserts, that was a quarter of the CPU time.
import { insertNote, NOTE } from "./lib/compare.ts";
import { cpuMs } from "./lib/cpu.ts";
import { openCrowd, type Crowd } from "./lib/crowd.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";

const CONNECTIONS = 1000;
const ROUNDS = 5;
const WARM_UP = { readers: 20, load: { connections: 64, seconds: 6 } };
/** The size of a burst, and the total: enough for a clock with a resolution of ten milliseconds. */
const KINDS = { burst: { atOnce: 50, count: 500 }, single: { atOnce: 1, count: 100 } };

const bare = await startServer("bare");
const bareSockets = bare.url.replace("http", "ws");
const text = JSON.stringify({
  seq: 1,
  entity: "Note",
  row_id: "0".repeat(40),
  kind: "insert",
  data: {
    id: "0".repeat(40),
    text: "a note of some forty characters, or so it is",
    count: 7,
    ownerId: "0".repeat(40),
  },
  timestamp: new Date().toISOString(),
});

const publish = async (): Promise<void> =>
  void (await fetch(`${bare.url}/publish`, { method: "POST", body: text }));
await warmUp(bare.url, bareSockets, rawRequest("POST", "/publish", { body: JSON.parse(text) }));
const theirs = await openCrowd(bareSockets, CONNECTIONS);
const baseline = counter(bare, theirs, publish);

await compare("fan-out", (url) => `${url.replace("http", "ws")}/ws`);
await compare("fan-out-sse", (url) => `${url}/events`);
theirs.stop();
await bare.stop();

async function compare(name: string, address: (url: string) => string): Promise<void> {
  const pylon = await startServer("pylon");
  const token = await guestToken(pylon.url);
  const request = rawRequest("POST", "/api/entities/Note", { token, body: NOTE });
  await warmUp(pylon.url, address(pylon.url), request, token);
  // Without a cursor, each would receive the inserts of the last seconds.
  const cursor = `since=${await head(pylon.url, token)}`;
  const ours = await openCrowd(`${address(pylon.url)}?${cursor}`, CONNECTIONS, token);
  const insert = async (): Promise<void> => void (await insertNote(pylon.url, token));
  // A client with a cursor is first told that it is up to date.
  await ours.received(1);
  const value = counter(pylon, ours, insert, 1);
  for (const [kind, size] of Object.entries(KINDS)) {
    const rounds: { value: number; baseline: number }[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const both = { value: await value(size), baseline: await baseline(size) };
      // The first round warms both up.
      if (round > 0) rounds.push(both);
    }
    report(`${name}-${kind}`, "messages/s of CPU", rounds);
  }
  ours.stop();
  await pylon.stop();
}

/** Repeats the request for some seconds, with a few connections that receive the messages. */
async function warmUp(url: string, address: string, request: string, token = ""): Promise<void> {
  const readers = await openCrowd(address, WARM_UP.readers, token);
  await load(url, request, WARM_UP.load);
  readers.stop();
}

async function head(url: string, token: string): Promise<number> {
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch(`${url}/api/sync/pull?since=0&limit=0`, { headers });
  return ((await answer.json()) as { cursor: { last_seq: number } }).cursor.last_seq;
}

/**
 * Sends bursts.
 *
 * @param received the number of messages that each connection has received
 * @returns messages per second of the server's CPU
 */
function counter(
  server: BenchServer,
  crowd: Crowd,
  send: () => Promise<void>,
  received = 0,
): (size: { readonly atOnce: number; readonly count: number }) => Promise<number> {
  let sent = received;
  return async ({ atOnce, count }) => {
    const before = cpuMs(server.pid);
    for (let index = 0; index < count; index += atOnce) {
      await Promise.all(Array.from({ length: atOnce }, send));
      sent += atOnce;
      await crowd.received(sent);
    }
    return (CONNECTIONS * count) / ((cpuMs(server.pid) - before) / 1000);
  };
}
