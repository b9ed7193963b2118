// One changed row under ten live queries over 100,000 rows in a client, against computing the ten
// queries again: how long the page is blocked by a change, how long the first results take, and the
// memory of both.
import type { ChangeEvent, Row } from "@pylonsync/protocol";
import { compilePredicate, parseFilter, sortRows } from "@pylonsync/query";
import { liveQuery, LocalStore, type QueryOptions } from "@pylonsync/sync";
import { ReplicaSchema } from "@pylonsync/sync/bindings";
import { heapStats } from "bun:jsc";
import { report } from "./lib/report.ts";

const ROWS = 100_000;
const CHANGES = 200;
const NAIVE_CHANGES = 3;
const ROUNDS = 5;
const SCHEMA = {
  Message: {
    channelId: "string",
    text: "string",
    rank: "int",
    done: "bool",
    createdAt: "datetime",
  },
};
const QUERIES: readonly QueryOptions[] = [
  { where: { channelId: "c1" }, orderBy: { createdAt: "desc" }, limit: 50 },
  { where: { channelId: "c2" }, orderBy: { createdAt: "desc" }, limit: 50 },
  { where: { channelId: { $in: ["c3", "c4"] } }, orderBy: { rank: "asc" }, limit: 50 },
  { where: { done: false }, orderBy: { createdAt: "desc" }, limit: 50 },
  { where: { done: true, rank: { $gt: 500 } }, orderBy: { rank: "desc" }, limit: 20 },
  { where: { text: { $like: "milk" } }, orderBy: { text: "asc" }, limit: 50 },
  { where: { $or: [{ rank: 1 }, { rank: 2 }] }, orderBy: { createdAt: "asc" }, limit: 100 },
  { orderBy: { createdAt: "desc" }, limit: 50 },
  { orderBy: { rank: "asc", text: "asc" }, limit: 100 },
  { where: { channelId: "c5", done: false } },
];

function rowAt(n: number, change = 0): Row {
  const spread = (n * 7919 + change * 104_729) % ROWS;
  return {
    id: `row-${n}`,
    channelId: `c${n % 200}`,
    text: `${spread % 1000 === 0 ? "milk" : "a message of some forty characters, or so"} ${spread}`,
    rank: spread % 1000,
    done: spread % 3 === 0,
    createdAt: new Date(1_700_000_000_000 + spread * 1000).toISOString(),
  };
}
function eventAt(n: number, seq: number, change = 0): ChangeEvent {
  const data = rowAt(n, change);
  return { seq, entity: "Message", row_id: data.id, kind: "insert", data, timestamp: "" };
}
/** Rows across the whole table; most are in none of the windows, as in an app. */
const changedRow = (change: number): number => (change * 31_337) % ROWS;

interface Client {
  readonly first: () => void;
  readonly change: (change: number) => void;
}

function ours(): Client {
  const store = new LocalStore();
  store.replaceAll(
    Array.from({ length: ROWS }, (_, n) => eventAt(n, 1)),
    1,
    ReplicaSchema.of(SCHEMA),
  );
  const lists = QUERIES.map((options) => liveQuery(store, "Message", options));
  let seq = 1;
  return {
    first() {
      for (const list of lists) {
        list.getSnapshot();
        list.subscribe(() => list.getSnapshot());
      }
    },
    change(change) {
      seq += 1;
      store.applyChanges([eventAt(changedRow(change), seq, change)]);
    },
  };
}

function naive(): Client {
  const rows = new Map(Array.from({ length: ROWS }, (_, n) => [`row-${n}`, rowAt(n)]));
  const lists = QUERIES.map(({ where, orderBy, limit }) => {
    // As the client did before its queries were updated incrementally.
    const filter = parseFilter({ ...where, ...(orderBy && { $order: orderBy }) });
    const matches = compilePredicate(filter.where);
    let shown: Row[] = [];
    return () => {
      const found = [...rows.values()].filter((row) => matches({ data: row }));
      shown = sortRows(found, filter.order).slice(0, limit);
      return shown;
    };
  });
  const first = (): void => {
    for (const list of lists) list();
  };
  return {
    first,
    change(change) {
      const row = rowAt(changedRow(change), change);
      rows.set(row.id, row);
      first();
    },
  };
}

interface Figures {
  readonly first: number;
  readonly change: number;
}

function measure(make: () => Client, changes: number): Figures {
  const client = make();
  const first = timeOf(() => client.first());
  // Each separately: the reported value is the longest time that a change blocks the page, ignoring
  // one in ten.
  const times = Array.from({ length: changes }, (_, change) =>
    timeOf(() => client.change(change + 1)),
  ).toSorted((a, b) => a - b);
  return { first, change: times[Math.floor(times.length * 0.9)] ?? 0 };
}

/** The memory of a client in MiB, measured in a separate process. */
function heapOf(which: "ours" | "naive"): number {
  const { stdout } = Bun.spawnSync([process.execPath, import.meta.path, which], {
    stderr: "inherit",
  });
  return Number(stdout.toString());
}

function printHeap(make: () => Client): void {
  Bun.gc(true);
  const empty = heapStats().heapSize;
  const client = make();
  client.first();
  Bun.gc(true);
  console.log((heapStats().heapSize - empty) / 2 ** 20);
  // It is kept alive until here.
  client.change(1);
}

function timeOf(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

function compare(): void {
  const rounds = Array.from({ length: ROUNDS + 1 }, () => ({
    ours: measure(ours, CHANGES),
    naive: measure(naive, NAIVE_CHANGES),
  })).slice(1);
  for (const [name, figure] of [
    ["change", "change"],
    ["first results", "first"],
  ] as const)
    report(
      `client-100k ${name}`,
      "ms",
      rounds.map((round) => ({ value: round.ours[figure], baseline: round.naive[figure] })),
    );
  report("client-100k heap", "MiB", [{ value: heapOf("ours"), baseline: heapOf("naive") }]);
}

const [which] = process.argv.slice(2);
if (which === undefined) compare();
else printHeap(which === "ours" ? ours : naive);
