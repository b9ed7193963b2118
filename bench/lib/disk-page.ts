// The page of client-disk.bench.ts: an engine, a query of 50 rows, and the times since the page was
// opened.
import { createSyncEngine } from "@pylonsync/sync";

interface Bench {
  /** Milliseconds from opening the page until the query showed rows. */
  firstRows: number | null;
  /** The same until the engine was live, with the rows of this visit. */
  live: number | null;
  /** Waits until the replica is on disk. */
  readonly kept: () => Promise<void>;
  /** The longest time, in ms, that the page is blocked within a second: when idle; by a write. */
  readonly write: () => Promise<{ readonly idle: number; readonly write: number }>;
}
declare global {
  interface Window {
    bench: Bench;
    token: string;
  }
}

const engine = createSyncEngine(location.origin, { token: window.token });
const list = engine.query("Note", { orderBy: { count: "desc" }, limit: 50 });
const bench: Bench = {
  firstRows: null,
  live: null,
  kept: async () => {
    for (;;) {
      const { head, rows } = await stored();
      if (head && rows) return;
      await pause(50);
    }
  },
  write: async () => {
    const idle = await longestBlock(async () => undefined);
    const write = await longestBlock(async () => {
      await engine.insert("Note", { text: "of my own", count: 1_000_000 });
      await engine.flushed();
    });
    return { idle, write };
  },
};
window.bench = bench;
const look = (): void => {
  if (list.getSnapshot().length > 0) bench.firstRows ??= performance.now();
  const { connection, stale, ready } = engine.status;
  if (connection === "live" && ready && !stale) bench.live ??= performance.now();
};
list.subscribe(look);
engine.onStatus(look);
engine.start();

/** @param work measured together with the second after it, in which it is written to disk */
async function longestBlock(work: () => Promise<void>): Promise<number> {
  let longest = 0;
  let isOver = false;
  const watching = (async () => {
    for (let before = performance.now(); !isOver;) {
      await pause(0);
      const now = performance.now();
      longest = Math.max(longest, now - before);
      before = now;
    }
  })();
  await work();
  await pause(1_000);
  isOver = true;
  await watching;
  return longest;
}

async function stored(): Promise<{ readonly head: boolean; readonly rows: boolean }> {
  const [database] = await indexedDB.databases();
  if (database?.name === undefined) return { head: false, rows: false };
  const db = await asked(indexedDB.open(database.name));
  const head: unknown = await asked(db.transaction("head").objectStore("head").get("head"));
  const count = await asked(db.transaction("chunks").objectStore("chunks").count());
  db.close();
  return {
    head: typeof head === "object" && head !== null && "seq" in head,
    rows: count > 0,
  };
}

function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(new Error("The request failed.")));
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms > 0) setTimeout(resolve, ms);
    else {
      const { port1, port2 } = new MessageChannel();
      port1.addEventListener("message", () => resolve());
      port1.start();
      port2.postMessage(null);
    }
  });
}
