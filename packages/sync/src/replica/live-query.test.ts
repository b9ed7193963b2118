import { expect, test } from "bun:test";
import type { ChangeEvent, ClientChange, Row } from "@pylonsync/protocol";
import { compilePredicate, parseFilter, sortRows, type EntityShape } from "@pylonsync/query";
import fc from "fast-check";
import { liveQuery, type LiveList, type QueryOptions } from "./live-query.ts";
import { LocalStore } from "./local-store.ts";
import { ReplicaSchema } from "./replica-schema.ts";

// Compares incrementally updated queries with queries that are computed again after each step.

const SCHEMA = {
  Todo: { text: "string", list: "string", n: "int", share: "float", done: "bool", at: "datetime" },
} as const;
const KNOWN = ReplicaSchema.of(SCHEMA);
const SHAPE: EntityShape = {
  name: "Todo",
  fields: new Map([["id", "id"], ...Object.entries(SCHEMA.Todo)]),
};
const TEXTS = ["", "a", "ab", "b", "\u{10000}", "\uFFFD", "constructor"];
const DATES = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "2026-02-01T00:00:00.000Z"];
const texts = fc.constantFrom(...TEXTS);
const numbers = fc.constantFrom(-1, 0, 1, 2, 3);
const shares = fc.constantFrom(-0.5, 0, 0.5, 1);
const dates = fc.constantFrom(...DATES);
const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(values, { nil: null, freq: 4 });

const data = fc.record(
  {
    text: orNull(texts),
    list: orNull(fc.constantFrom("a", "b", "c")),
    n: orNull(numbers),
    share: orNull(shares),
    done: orNull(fc.boolean()),
    at: orNull(dates),
  },
  { requiredKeys: [] },
);
/** More than a window and its spare rows, so that windows are truncated and filled again. */
const ids = fc.nat(59).map(String);
const changes: fc.Arbitrary<ClientChange> = fc.record({
  entity: fc.constant("Todo"),
  row_id: ids,
  kind: fc.constantFrom("insert", "update", "delete"),
  data,
});

/** Every operator with every kind of field that supports it. */
const conditions: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  ...(
    [
      ["text", texts],
      ["list", fc.constantFrom("a", "b", "c")],
      ["n", numbers],
      ["share", shares],
      ["at", dates],
    ] as const
  ).flatMap(([field, values]: readonly [string, fc.Arbitrary<string | number>]) => [
    ...["$gt", "$gte", "$lt", "$lte"].map((operator) =>
      values.map((value) => ({ [field]: { [operator]: value } })),
    ),
    ...["$eq", "$ne", "$not"].map((operator) =>
      orNull(values).map((value) => ({ [field]: { [operator]: value } })),
    ),
    ...["$in", "$nin"].map((operator) =>
      fc.array(orNull(values), { maxLength: 3 }).map((list) => ({ [field]: { [operator]: list } })),
    ),
    orNull(values).map((value) => ({ [field]: value })),
    fc.boolean().map((exists) => ({ [field]: { $exists: exists } })),
  ]),
  orNull(fc.boolean()).map((done) => ({ done })),
  texts.map((text) => ({ text: { $like: text } })),
  texts.map((text) => ({ text: { $startsWith: text } })),
  texts.map((text) => ({ text: { $endsWith: text } })),
  texts.map((text) => ({ text: { $ilike: text } })),
  ids.map((id) => ({ id })),
);
const filters: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{
  filter: Record<string, unknown>;
}>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    { weight: 3, arbitrary: fc.constant({}) },
    { weight: 5, arbitrary: conditions },
    fc.tuple(conditions, conditions).map(([one, other]) => ({ ...one, ...other })),
    fc.array(tie("filter"), { maxLength: 3 }).map((parts) => ({ $or: parts })),
    fc.array(tie("filter"), { maxLength: 3 }).map((parts) => ({ $and: parts })),
    tie("filter").map((part) => ({ $not: part })),
  ),
})).filter;
const queries: fc.Arbitrary<QueryOptions> = fc.record({
  where: filters,
  orderBy: fc.option(
    fc.dictionary(
      fc.constantFrom("text", "list", "n", "share", "done", "at"),
      fc.constantFrom("asc" as const, "desc" as const),
      { maxKeys: 3, noNullPrototype: true },
    ),
    { nil: undefined },
  ),
  limit: fc.option(fc.nat(6), { nil: undefined, freq: 8 }),
});

type Step =
  | { readonly do: "events"; readonly events: readonly ClientChange[] }
  | { readonly do: "write"; readonly writes: readonly ClientChange[] }
  | { readonly do: "settle"; readonly keep: readonly boolean[] }
  | { readonly do: "snapshot"; readonly rows: readonly ClientChange[]; readonly knows: boolean }
  | { readonly do: "listen" | "stop" | "read"; readonly query: number };
const QUERIES = 6;
const few = (maxLength: number): fc.Arbitrary<ClientChange[]> =>
  fc.array(changes, { minLength: 1, maxLength });
const manyRows = fc.array(changes, { minLength: 60, maxLength: 120 });
/** Deletes many consecutive rows at once, which may be a whole window. */
const wipes = fc.tuple(fc.nat(59), fc.integer({ min: 5, max: 40 })).map(([from, count]): Step => ({
  do: "events",
  events: Array.from({ length: count }, (_, n) => ({
    entity: "Todo",
    row_id: String((from + n) % 60),
    kind: "delete",
  })),
}));
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("events" as const), events: few(6) }) },
    { weight: 2, arbitrary: wipes },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("write" as const), writes: few(3) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("settle" as const),
        keep: fc.array(fc.boolean(), { maxLength: 8 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("snapshot" as const),
        rows: manyRows,
        knows: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constantFrom("listen" as const, "stop" as const, "read" as const),
        query: fc.nat(QUERIES - 1),
      }),
    },
  ),
  { minLength: 4, maxLength: 20 },
);

/** A simple model of the server's rows and the writes over them. */
class Truth {
  confirmed = new Map<string, Row>();
  pending: readonly ClientChange[] = [];
  seq = 1;
  knows = false;

  rows({ where, orderBy, limit }: QueryOptions): Row[] {
    const rows = new Map(this.confirmed);
    for (const change of this.pending) this.#lay(rows, change, true);
    const shape = this.knows ? SHAPE : undefined;
    const filter = parseFilter({ ...where, ...(orderBy && { $order: orderBy }) }, shape);
    const matches = compilePredicate(filter.where);
    const found = [...rows.values()].filter((row) => matches({ data: row }));
    return sortRows(found, filter.order).slice(0, limit);
  }

  take(step: Step): void {
    if (step.do === "events") for (const event of step.events) this.#lay(this.confirmed, event);
    else if (step.do === "write") this.pending = [...this.pending, ...step.writes];
    else if (step.do === "settle")
      this.pending = this.pending.filter((_, index) => step.keep[index] ?? true);
    else if (step.do === "snapshot") {
      this.confirmed = new Map();
      this.knows = step.knows;
      for (const row of step.rows) this.confirmed.set(row.row_id, { ...row.data, id: row.row_id });
    }
  }

  #lay(rows: Map<string, Row>, { row_id: id, kind, data: values }: ClientChange, keeps = false) {
    const below = rows.get(id);
    if (kind === "delete") rows.delete(id);
    else if (kind === "insert") rows.set(id, { ...(keeps ? below : {}), ...values, id });
    else if (below !== undefined) rows.set(id, { ...below, ...values, id });
  }
}

/** A live list, and whether its listener was called since it was last read. */
class Watched {
  readonly list: LiveList;
  isTold = false;
  #stop: (() => void) | null = null;

  constructor(store: LocalStore, options: QueryOptions) {
    this.list = liveQuery(store, "Todo", options);
  }

  get isListening(): boolean {
    return this.#stop !== null;
  }
  listen(): void {
    this.#stop ??= this.list.subscribe(() => {
      this.isTold = true;
    });
  }
  stop(): void {
    this.#stop?.();
    this.#stop = null;
  }
}

function apply(step: Step, store: LocalStore, truth: Truth): void {
  const eventOf = (change: ClientChange): ChangeEvent => ({
    ...change,
    seq: (truth.seq += 1),
    timestamp: "",
  });
  truth.take(step);
  if (step.do === "events") store.applyChanges(step.events.map(eventOf));
  else if (step.do === "snapshot")
    store.replaceAll(
      step.rows.map((row) => ({ ...eventOf(row), kind: "insert" as const })),
      truth.seq,
      step.knows ? KNOWN : undefined,
    );
  else if (step.do === "write" || step.do === "settle") store.setPending(truth.pending);
}

test("incrementally updated queries equal queries that are built again", () => {
  fc.assert(
    fc.property(
      fc.array(queries, { minLength: QUERIES, maxLength: QUERIES }),
      manyRows,
      steps,
      (all, rows, rest) => {
        const many: Step[] = [{ do: "snapshot", rows, knows: true }, ...rest];
        const store = new LocalStore();
        const truth = new Truth();
        const watched = all.map((options) => new Watched(store, options));
        for (const one of watched) one.listen();
        for (const step of many) {
          const before = watched.map(({ list }) => list.getSnapshot());
          apply(step, store, truth);
          if (step.do === "listen") watched[step.query]?.listen();
          if (step.do === "stop") watched[step.query]?.stop();
          for (const [index, one] of watched.entries()) {
            const rows = one.list.getSnapshot();
            expect(rows).toEqual(truth.rows(all[index] ?? {}));
            expect(one.list.getSnapshot()).toBe(rows);
            if (Bun.deepEquals(rows, before[index])) expect(rows).toBe(before[index] ?? []);
            else if (one.isListening) expect(one.isTold).toBe(true);
            one.isTold = false;
          }
        }
      },
    ),
    { numRuns: Number(process.env["PYLON_RUNS"] ?? 100) },
  );
}, 60_000);

test("a change notifies the subscribers whose lists it changes, and no others", () => {
  const store = new LocalStore();
  const told: string[] = [];
  const listen = (name: string, options: QueryOptions): void => {
    const list = liveQuery(store, "Todo", options);
    list.getSnapshot();
    list.subscribe(() => told.push(name));
  };
  const insert = (id: string, values: object, seq: number): void =>
    store.applyChanges([
      { seq, entity: "Todo", row_id: id, kind: "insert", data: { ...values }, timestamp: "" },
    ]);
  for (let n = 0; n < 100; n += 1) insert(`row-${n}`, { list: `l${n % 10}`, n }, n + 1);
  listen("l1", { where: { list: "l1" } });
  listen("l2", { where: { list: "l2" }, limit: 3 });
  listen("first", { orderBy: { n: "asc" }, limit: 3 });
  listen("last", { orderBy: { n: "desc" }, limit: 3 });
  insert("a", { list: "l1", n: 50.5 }, 200);
  expect(told.splice(0)).toEqual(["l1"]);
  insert("b", { list: "l2", n: -1 }, 201);
  expect(told.splice(0).toSorted()).toEqual(["first", "l2"]);
  insert("b", { list: "l2", n: -1 }, 202);
  expect(told.splice(0)).toEqual([]);
  store.setPending([{ entity: "Todo", row_id: "c", kind: "insert", data: { list: "l3", n: 999 } }]);
  expect(told.splice(0)).toEqual(["last"]);
  store.setPending([]);
  expect(told.splice(0)).toEqual(["last"]);
});

test("unchanged rows stay the same objects, whatever their source", () => {
  const store = new LocalStore();
  const rows = (seq: number): ChangeEvent[] =>
    ["a", "b"].map((id) => ({
      seq,
      entity: "Todo",
      row_id: id,
      kind: "insert",
      data: { id, n: 1, text: "x" },
      timestamp: "",
    }));
  store.replaceAll(rows(1), 1, KNOWN);
  const all = liveQuery(store, "Todo").getSnapshot();
  const [a] = all;
  store.replaceAll(rows(2), 2, KNOWN);
  store.setPending([{ entity: "Todo", row_id: "b", kind: "update", data: { n: 2 } }]);
  expect(store.get("Todo", "a")).toBe(a ?? null);
  const written = store.get("Todo", "b");
  expect(written).toEqual({ id: "b", n: 2, text: "x" });
  store.applyChanges([
    { seq: 3, entity: "Todo", row_id: "b", kind: "update", data: { n: 2 }, timestamp: "" },
  ]);
  store.setPending([]);
  expect(store.get("Todo", "b")).toBe(written);
  expect(store.confirmed({ entity: "Todo", id: "b" })).toBe(written);
});

test("what an earlier visit showed is shown until there are rows, and stays if equal", () => {
  const kept = [
    { id: "b", n: 2 },
    { id: "a", n: 1 },
  ];
  const source = new LocalStore();
  liveQuery(source, "Todo", { orderBy: { n: "desc" }, limit: 2 }).subscribe(() => undefined);
  const [window] = [...source.windows(200)];
  const store = new LocalStore();
  const list = liveQuery(store, "Todo", { orderBy: { n: "desc" }, limit: 2 });
  const one = liveQuery(store, "Todo", { orderBy: { n: "desc" }, limit: 1 });
  const all = liveQuery(store, "Todo");
  let told = 0;
  list.subscribe(() => (told += 1));
  store.preview([{ entity: "Todo", key: window?.key ?? "", rows: kept }], KNOWN);
  expect(told).toBe(1);
  const shown = list.getSnapshot();
  expect(shown).toEqual(kept);
  expect(one.getSnapshot()).toEqual(kept.slice(0, 1));
  expect(all.getSnapshot()).toEqual([]);
  store.restore(
    [
      { entity: "Todo", id: "a", row: { id: "a", n: 1 } },
      { entity: "Todo", id: "b", row: { id: "b", n: 2 } },
      { entity: "Todo", id: "c", row: { id: "c", n: 0 } },
    ],
    7,
    KNOWN,
  );
  expect(list.getSnapshot()).toBe(shown);
  expect(all.getSnapshot()).toHaveLength(3);
  store.preview([{ entity: "Todo", key: window?.key ?? "", rows: [] }], KNOWN);
  expect(list.getSnapshot()).toBe(shown);
});
