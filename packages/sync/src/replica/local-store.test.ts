import { expect, test } from "bun:test";
import type { ChangeEvent, ClientChange, Row } from "@pylonsync/protocol";
import { compareValues, normaliseDatetime, type Scalar } from "@pylonsync/query";
import fc from "fast-check";
import { liveQuery, liveRow } from "./live-query.ts";
import { LocalStore } from "./local-store.ts";
import { ReplicaSchema } from "./replica-schema.ts";

const ENTITIES = ["Todo", "User"] as const;
const IDS = ["1", "2", "3"] as const;
const SCHEMA = { Todo: { title: "string", n: "int", at: "datetime" } };
const KNOWN = ReplicaSchema.of(SCHEMA);

const fields = fc.record(
  {
    title: fc.constantFrom("a", "b", null),
    n: fc.constantFrom<unknown>(1, 2, 3, null, { $increment: 2 }),
    at: fc.constantFrom("2026-01-05", "2026-01-05T00:00:00.000Z", "soon"),
  },
  { requiredKeys: [] },
);
const changes: fc.Arbitrary<ClientChange> = fc.record({
  entity: fc.constantFrom(...ENTITIES),
  row_id: fc.constantFrom(...IDS),
  kind: fc.constantFrom("insert", "update", "delete"),
  data: fields,
});
type Step =
  | { readonly do: "events"; readonly events: readonly ClientChange[]; readonly ahead: number }
  | { readonly do: "write"; readonly writes: readonly ClientChange[] }
  | { readonly do: "settle"; readonly keep: readonly boolean[] }
  | { readonly do: "replace"; readonly events: readonly ClientChange[]; readonly knows: boolean }
  | { readonly do: "advance"; readonly by: number };
const few = fc.array(changes, { minLength: 1, maxLength: 3 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("events" as const),
      events: few,
      ahead: fc.integer({ min: -2, max: 2 }),
    }),
    fc.record({ do: fc.constant("write" as const), writes: few }),
    fc.record({
      do: fc.constant("settle" as const),
      keep: fc.array(fc.boolean(), { maxLength: 6 }),
    }),
    fc.record({
      do: fc.constant("replace" as const),
      events: fc.array(
        changes.map((change) => ({ ...change, kind: "insert" as const })),
        { maxLength: 3 },
      ),
      knows: fc.boolean(),
    }),
    fc.record({ do: fc.constant("advance" as const), by: fc.nat(2) }),
  ),
  { maxLength: 12 },
);

/** The simplest possible store: every read applies all writes to all rows. */
class NaiveStore {
  confirmed = new Map<string, Row>();
  pending: readonly ClientChange[] = [];
  seq = 0;
  knows = false;

  static keyOf({ entity, row_id: id }: Pick<ClientChange, "entity" | "row_id">): string {
    return `${entity}/${id}`;
  }

  list(entity: string): Row[] {
    const rows = new Map(this.confirmed);
    for (const change of this.pending) this.#lay(rows, change, change.kind !== "update");
    return [...rows].filter(([key]) => key.startsWith(`${entity}/`)).map(([, row]) => row);
  }

  confirm(event: ClientChange): void {
    if (event.kind === "insert") this.confirmed.delete(NaiveStore.keyOf(event));
    this.#apply(this.confirmed, event, event.data ?? {}, event.kind === "insert");
  }

  #lay(rows: Map<string, Row>, change: ClientChange, mayMake: boolean): void {
    const data = { ...change.data };
    const at = data["at"];
    if (this.knows && change.entity === "Todo" && typeof at === "string")
      data["at"] = normaliseDatetime(at) ?? at;
    const below = rows.get(NaiveStore.keyOf(change));
    if (change.kind === "update" && typeof data["n"] === "object" && data["n"] !== null)
      data["n"] = Number(typeof below?.["n"] === "number" ? below["n"] : 0) + 2;
    this.#apply(rows, change, data, mayMake);
  }

  #apply(rows: Map<string, Row>, change: ClientChange, data: object, mayMake: boolean): void {
    const key = NaiveStore.keyOf(change);
    const below = rows.get(key);
    if (change.kind === "delete") rows.delete(key);
    else if (mayMake || below !== undefined)
      rows.set(key, { ...below, ...data, id: change.row_id });
  }
}

function take(step: Step, store: LocalStore, naive: NaiveStore): void {
  const eventOf = (change: ClientChange, seq: number): ChangeEvent => ({
    ...change,
    seq,
    timestamp: "",
  });
  switch (step.do) {
    case "events": {
      const seq = Math.max(1, naive.seq + step.ahead);
      store.applyChanges(step.events.map((event) => eventOf(event, seq)));
      if (seq < naive.seq) return;
      naive.seq = seq;
      for (const event of step.events) naive.confirm(event);
      return;
    }
    case "write":
      naive.pending = [...naive.pending, ...step.writes];
      return store.setPending(naive.pending);
    case "settle":
      naive.pending = naive.pending.filter((_, index) => step.keep[index] ?? true);
      return store.setPending(naive.pending);
    case "replace":
      naive.confirmed = new Map();
      for (const event of step.events) naive.confirm(event);
      naive.knows = step.knows;
      naive.seq += 1;
      return store.replaceAll(
        step.events.map((event) => eventOf(event, naive.seq)),
        naive.seq,
        step.knows ? KNOWN : undefined,
      );
    case "advance":
      naive.seq += step.by;
      store.advanceTo(naive.seq);
      store.advanceTo(naive.seq - 1);
  }
}

function byId(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => compareValues(a.id, b.id));
}

test("after any steps the rows are those of a store that recomputes all of them", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const store = new LocalStore();
      const naive = new NaiveStore();
      for (const step of all) {
        take(step, store, naive);
        for (const entity of ENTITIES) {
          const expected = byId(naive.list(entity));
          expect(byId(store.list(entity))).toEqual(expected);
          for (const id of IDS)
            expect(store.get(entity, id)).toEqual(expected.find((row) => row.id === id) ?? null);
        }
        expect(store.cursor).toEqual({ last_seq: naive.seq });
        const confirmed = [...store.allConfirmed()].map(({ entity, id, row }) => [
          `${entity}/${id}`,
          row,
        ]);
        expect(Object.fromEntries(confirmed)).toEqual(Object.fromEntries(naive.confirmed));
      }
    }),
    { numRuns: 200 },
  );
});

test("writes shown by their results look as before, and add nothing twice", () => {
  const writes = fc.array(
    fc.record({
      entity: fc.constant("Todo"),
      row_id: fc.constantFrom(...IDS),
      kind: fc.constant("update" as const),
      data: fields,
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(writes, fc.nat(8), fc.subarray([...IDS]), (all, sent, there) => {
      const store = new LocalStore();
      const inserted = there.map((id) => ({ entity: "Todo", row_id: id, data: { n: 1 }, seq: 1 }));
      store.applyChanges(inserted.map((change) => ({ ...change, kind: "insert" })));
      store.setPending(all);
      const before = byId(store.list("Todo"));
      const resolved = store.resolved(all.slice(0, sent));
      const shown = all.map((change) => resolved.get(change) ?? change);
      store.setPending(shown);
      expect(byId(store.list("Todo"))).toEqual(before);
      if (sent < all.length) return;
      // The server's rows arrive before its response does.
      const events = before.map((row) => ({
        entity: "Todo",
        row_id: row.id,
        kind: "insert" as const,
        data: row,
        seq: 10,
      }));
      store.applyChanges(events);
      expect(byId(store.list("Todo"))).toEqual(before);
    }),
    { numRuns: 200 },
  );
});

test("if visible rows of an entity change, its version grows, its listeners are called", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const store = new LocalStore();
      const naive = new NaiveStore();
      const calls = { Todo: 0, User: 0, any: 0 };
      for (const entity of ENTITIES) store.subscribe(entity, () => (calls[entity] += 1));
      const stop = store.subscribe(() => (calls.any += 1));
      for (const step of all) {
        const before = ENTITIES.map((entity) => ({
          entity,
          rows: byId(store.list(entity)),
          version: store.version(entity),
          calls: { ...calls },
        }));
        take(step, store, naive);
        for (const { entity, rows, version, calls: earlier } of before) {
          if (Bun.deepEquals(rows, byId(store.list(entity)))) continue;
          expect(store.version(entity)).toBeGreaterThan(version);
          expect(calls[entity]).toBeGreaterThan(earlier[entity]);
          expect(calls.any).toBeGreaterThan(earlier.any);
        }
      }
      stop();
      const last = calls.any;
      store.setPending([{ entity: "Todo", row_id: "9", kind: "insert", data: {} }]);
      expect(calls.any).toBe(last);
    }),
  );
});

test("a live query is the filtered, sorted, cut list, and one array until it changes", () => {
  const queries = fc.record({
    title: fc.option(fc.constantFrom("a", "b", null), { nil: undefined }),
    least: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    order: fc.option(fc.constantFrom("asc" as const, "desc" as const), { nil: undefined }),
    limit: fc.option(fc.nat(3), { nil: undefined }),
  });
  fc.assert(
    fc.property(steps, queries, (all, { title, least, order, limit }) => {
      const store = new LocalStore();
      const naive = new NaiveStore();
      const live = liveQuery(store, "Todo", {
        where: {
          ...(title === undefined ? {} : { title }),
          ...(least === undefined ? {} : { n: { $gte: least } }),
        },
        orderBy: order === undefined ? undefined : { n: order },
        limit,
      });
      const valueOf = (row: Row, name: string): Scalar => (row[name] ?? null) as Scalar;
      for (const step of all) {
        const before = live.getSnapshot();
        take(step, store, naive);
        const expected = naive
          .list("Todo")
          .filter((row) => title === undefined || valueOf(row, "title") === title)
          .filter((row) => least === undefined || Number(valueOf(row, "n") ?? 0) >= least)
          .toSorted((a, b) => {
            const byN = compareValues(valueOf(a, "n"), valueOf(b, "n"));
            if (order !== undefined && byN !== 0) return order === "asc" ? byN : -byN;
            return compareValues(a.id, b.id);
          })
          .slice(0, limit);
        const after = live.getSnapshot();
        expect(after).toEqual(expected);
        expect(live.getSnapshot()).toBe(after);
        if (after.length === before.length && after.every((row, index) => row === before[index]))
          expect(after).toBe(before);
      }
    }),
    { numRuns: 200 },
  );
});

test("a live row is the row of the list, and changes are reported together", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const store = new LocalStore();
      const naive = new NaiveStore();
      const live = liveRow(store, "Todo", "1");
      let seen = live.getSnapshot();
      live.subscribe(() => (seen = live.getSnapshot()));
      for (const step of all) {
        take(step, store, naive);
        expect(seen).toEqual(naive.list("Todo").find(({ id }) => id === "1") ?? null);
      }
    }),
  );
});

test("a stored replica is restored unchanged, without deleted rows", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const store = new LocalStore();
      for (const step of all) take(step, store, new NaiveStore());
      const kept = new LocalStore();
      kept.restore(
        [...store.allConfirmed(), { entity: "Todo", id: "gone", row: null }],
        store.cursor.last_seq,
        ReplicaSchema.of(store.schema),
      );
      expect([...kept.allConfirmed()]).toEqual([...store.allConfirmed()]);
      expect([kept.cursor, kept.schema]).toEqual([store.cursor, store.schema]);
    }),
  );
});
