// The time from the write of a row until the socket of another client has the change, at 20 and at
// 100 writes per second, against a bare socket that echoes what it receives and stores nothing.
// Written by a push over a socket, as a client in queries mode does, and by an insert over HTTP.
// With a file in memory, and with one on a disk, for which a commit waits. The third measure is the
// least that any server needs: a bare socket that inserts the row with one statement, and sends it.
import { bearerProtocol, LIVE_PROTOCOL } from "@pylonsync/protocol";
import { insertNote, NOTE } from "./lib/compare.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const RATES = [20, 100];
const SAMPLES = 400;
/**
 * Writes before the first measured one, at a rate that a socket may have. In the first ones a
 * server that was just started compiles its code: after 50 of them a write took 1.8 times as much
 * CPU time as after 800, and the median was 1.6 times as long.
 */
const WARM_UP = { writes: 1000, perSecond: 120 };
const FOLDERS = { memory: "/dev/shm", disk: process.env["TMPDIR"] ?? "/tmp" };

/** Sends something, and is notified when it has come back. */
interface Line {
  readonly send: (onSeen: () => void) => void;
  readonly stop: () => Promise<void>;
}

for (const [kind, folder] of Object.entries(FOLDERS)) {
  process.env["TMPDIR"] = folder;
  const lines = [
    await pushLine(),
    await httpLine(),
    await storingLine(),
    await echoLine(),
  ] as const;
  await sample(lines, WARM_UP.perSecond, WARM_UP.writes);
  for (const rate of RATES) {
    const times = await sample(lines, rate, SAMPLES);
    const [pushed = [], inserted = [], stored = [], baseline = []] = times;
    for (const [name, value] of [
      ["live-latency", pushed],
      ["live-latency-http", inserted],
      ["live-latency-of-a-bare-insert", stored],
    ] as const)
      for (const share of [0.5, 0.99])
        report(`${name}-${kind}-${rate}-p${share * 100}`, "ms", [
          { value: quantile(value, share), baseline: quantile(baseline, share) },
        ]);
  }
  for (const line of lines) await line.stop();
}

/** One client pushes over its socket, and another has subscribed to the rows. */
async function pushLine(): Promise<Line> {
  const server = await startServer("pylon");
  const token = await guestToken(server.url);
  const address = `${server.url.replace("http", "ws")}/ws`;
  const open = (): WebSocket => new WebSocket(address, [LIVE_PROTOCOL, bearerProtocol(token)]);
  const writer = open();
  await new Promise((resolve) => (writer.onmessage = resolve));
  const reader = open();
  let pushes = 0;
  // A socket takes one push at a time.
  let answered = Promise.resolve();
  const write = (): void => {
    const id = (pushes += 1);
    const change = { entity: "Note", row_id: `note${id}`, kind: "insert", data: NOTE };
    const changes = [{ ...change, op_id: `op${id}` }];
    const text = JSON.stringify({ type: "push", id, changes, results: true });
    answered = answered.then(() => {
      writer.send(text);
      return new Promise((resolve) => (writer.onmessage = () => resolve()));
    });
  };
  const line = await lineOver(reader, server.stop, write, rowsOf);
  const ready = new Promise<void>((resolve) => {
    reader.addEventListener("message", ({ data }) => {
      if (String(data).startsWith('{"type":"ready"')) resolve();
    });
  });
  reader.send(JSON.stringify({ type: "subscribe", id: 1, entity: "Note" }));
  await ready;
  return line;
}

async function httpLine(): Promise<Line> {
  const server = await startServer("pylon");
  const token = await guestToken(server.url);
  const address = `${server.url.replace("http", "ws")}/ws`;
  return lineOver(new WebSocket(address, [bearerProtocol(token)]), server.stop, () => {
    void insertNote(server.url, token);
  });
}

async function storingLine(): Promise<Line> {
  const server = await startServer("bare");
  const address = server.url.replace("http", "ws");
  const writer = new WebSocket(address);
  await new Promise((resolve) => (writer.onopen = resolve));
  let rows = 0;
  return lineOver(new WebSocket(address), server.stop, () => {
    writer.send(JSON.stringify({ id: `note${(rows += 1)}`, ...NOTE }));
  });
}

async function echoLine(): Promise<Line> {
  const server = await startServer("bare");
  const socket = new WebSocket(server.url.replace("http", "ws"));
  return lineOver(socket, server.stop, () => socket.send(JSON.stringify(NOTE)));
}

/** The number of new rows in a message about commits; pushes that arrive together share one. */
function rowsOf(text: string): number {
  const { changes = [] } = JSON.parse(text) as { changes?: { rows?: unknown[] }[] };
  return changes.reduce((sum, { rows = [] }) => sum + rows.length, 0);
}

/**
 * Messages come back in the order in which they were sent.
 *
 * @param writesIn the number of writes that a message reports
 */
async function lineOver(
  socket: WebSocket,
  stop: () => Promise<void>,
  write: () => void,
  writesIn: (text: string) => number = () => 1,
): Promise<Line> {
  const waiting: (() => void)[] = [];
  socket.onmessage = ({ data }) => {
    for (let left = writesIn(String(data)); left > 0; left -= 1) waiting.shift()?.();
  };
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
async function sample(lines: readonly Line[], rate: number, count: number): Promise<number[][]> {
  const times = lines.map((): number[] => []);
  for (let index = 0; index < count; index += 1)
    for (const [at, line] of lines.entries()) {
      const started = performance.now();
      line.send(() => times[at]?.push(performance.now() - started));
      await Bun.sleep(1000 / rate / lines.length);
    }
  while (times.some(({ length }) => length < count)) await Bun.sleep(5);
  return times;
}

function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? 0;
}
