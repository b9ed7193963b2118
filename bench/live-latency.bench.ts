// The time from the write of a row over HTTP until a socket has the change, at 20 and at 100 writes
// per second, against a bare socket that echoes what it receives and stores nothing. With a file in
// memory, and with one on a disk, for which a commit waits.
import { bearerProtocol } from "@pylonsync/protocol";
import { insertNote, NOTE } from "./lib/compare.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const RATES = [20, 100];
const SAMPLES = 400;
const WARM_UP = 50;
const FOLDERS = { memory: "/dev/shm", disk: process.env["TMPDIR"] ?? "/tmp" };

/** Sends something, and is notified when it has come back. */
interface Line {
  readonly send: (onSeen: () => void) => void;
  readonly stop: () => Promise<void>;
}

for (const [kind, folder] of Object.entries(FOLDERS)) {
  process.env["TMPDIR"] = folder;
  const lines = [await pylonLine(), await echoLine()] as const;
  for (const rate of RATES) {
    const [value = [], baseline = []] = await sample(lines, rate);
    for (const share of [0.5, 0.99])
      report(`live-latency-${kind}-${rate}-p${share * 100}`, "ms", [
        { value: quantile(value, share), baseline: quantile(baseline, share) },
      ]);
  }
  for (const line of lines) await line.stop();
}

async function pylonLine(): Promise<Line> {
  const server = await startServer("pylon");
  const token = await guestToken(server.url);
  const address = `${server.url.replace("http", "ws")}/ws`;
  return lineOver(new WebSocket(address, [bearerProtocol(token)]), server.stop, () => {
    void insertNote(server.url, token);
  });
}

async function echoLine(): Promise<Line> {
  const server = await startServer("bare");
  const socket = new WebSocket(server.url.replace("http", "ws"));
  return lineOver(socket, server.stop, () => socket.send(JSON.stringify(NOTE)));
}

/** Messages come back in the order in which they were sent. */
async function lineOver(
  socket: WebSocket,
  stop: () => Promise<void>,
  write: () => void,
): Promise<Line> {
  const waiting: (() => void)[] = [];
  socket.onmessage = () => waiting.shift()?.();
  await new Promise((resolve) => (socket.onopen = resolve));
  return {
    send: (onSeen) => {
      waiting.push(onSeen);
      write();
    },
    stop: async () => {
      socket.close();
      await stop();
    },
  };
}

/** The times of each line, in milliseconds. The lines take turns. */
async function sample(lines: readonly Line[], rate: number): Promise<number[][]> {
  const times = lines.map((): number[] => []);
  for (let index = 0; index < SAMPLES + WARM_UP; index += 1)
    for (const [at, line] of lines.entries()) {
      const started = performance.now();
      line.send(() => times[at]?.push(performance.now() - started));
      await Bun.sleep(1000 / rate / lines.length);
    }
  while (times.some(({ length }) => length < SAMPLES + WARM_UP)) await Bun.sleep(5);
  return times.map((all) => all.slice(WARM_UP));
}

function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? 0;
}
