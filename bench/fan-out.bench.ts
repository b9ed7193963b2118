// Changes to 1,000 WebSockets, and to 1,000 event streams: committed, matched against the policy
// and delivered, against a bare `publish` of the same text to sockets. In bursts, which share
// writes to a socket, and one at a time, where the kernel's share is the largest. Measured by the
// CPU of the server, so that neither the clients nor other work of the machine counts.
import { insertNote } from "./lib/compare.ts";
import { cpuMs } from "./lib/cpu.ts";
import { openCrowd, type Crowd } from "./lib/crowd.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";

const CONNECTIONS = 1000;
const ROUNDS = 5;
/** The size of a burst, and the total: enough for a clock with a resolution of ten milliseconds. */
const KINDS = { burst: { atOnce: 50, count: 500 }, single: { atOnce: 1, count: 100 } };

const bare = await startServer("bare");
const theirs = await openCrowd(bare.url.replace("http", "ws"), CONNECTIONS);
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
const baseline = counter(bare, theirs, publish);

await compare("fan-out", (url) => `${url.replace("http", "ws")}/ws`);
await compare("fan-out-sse", (url) => `${url}/events`);
theirs.stop();
await bare.stop();

async function compare(name: string, address: (url: string) => string): Promise<void> {
  const pylon = await startServer("pylon");
  const token = await guestToken(pylon.url);
  const ours = await openCrowd(address(pylon.url), CONNECTIONS, token);
  const insert = async (): Promise<void> => void (await insertNote(pylon.url, token));
  const value = counter(pylon, ours, insert);
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

/** Sends bursts. @returns messages per second of the server's CPU */
function counter(
  server: BenchServer,
  crowd: Crowd,
  send: () => Promise<void>,
): (size: { readonly atOnce: number; readonly count: number }) => Promise<number> {
  let sent = 0;
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
