import { expect, test } from "bun:test";
import type { ClientChange, Row } from "@pylonsync/protocol";
import fc from "fast-check";
import type { LocalChange } from "./local-changes.ts";
import { liveQuery } from "./live-query.ts";
import { LocalStore } from "./local-store.ts";

const IDS = ["1", "2"] as const;
const changes: fc.Arbitrary<ClientChange> = fc.record({
  entity: fc.constant("Todo"),
  row_id: fc.constantFrom(...IDS),
  kind: fc.constantFrom("insert", "update", "delete"),
  data: fc.record({ a: fc.integer({ min: 0, max: 2 }), b: fc.boolean() }, { requiredKeys: [] }),
});
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("local" as const), change: changes }),
    fc.record({ do: fc.constant("event" as const), change: changes }),
    fc.record({
      do: fc.constant("pending" as const),
      writes: fc.array(changes, { maxLength: 3 }),
    }),
    fc.record({ do: fc.constant("snapshot" as const), ids: fc.subarray([...IDS]) }),
    fc.record({ do: fc.constant("drop" as const) }),
  ),
  { maxLength: 25, size: "max" },
);

/** A naive model: for each row the server's values, and the app's change of them. */
class Model {
  confirmed = new Map<string, Row>();
  /** Absent: the app has not changed the row since the server's last change. */
  local = new Map<string, { readonly kind: "own" | "patch" | "gone"; readonly data: object }>();
  pending: readonly ClientChange[] = [];

  change({ row_id: id, kind, data = {} }: LocalChange): void {
    const before = this.local.get(id);
    if (kind === "delete" && !this.confirmed.has(id)) this.local.delete(id);
    else if (kind === "delete") this.local.set(id, { kind: "gone", data: {} });
    else if (kind === "insert" || before?.kind === "gone")
      this.local.set(id, { kind: "own", data });
    else if (before !== undefined)
      this.local.set(id, { kind: before.kind, data: { ...before.data, ...data } });
    else this.local.set(id, { kind: this.confirmed.has(id) ? "patch" : "own", data });
  }

  event({ row_id: id, kind, data }: ClientChange): void {
    this.local.delete(id);
    const known = this.confirmed.get(id);
    if (kind === "delete") this.confirmed.delete(id);
    else if (kind === "insert") this.confirmed.set(id, { ...data, id });
    else if (known !== undefined) this.confirmed.set(id, { ...known, ...data, id });
  }

  rows(): Row[] {
    return IDS.flatMap((id) => {
      const made = this.local.get(id);
      let row: Row | null = this.confirmed.get(id) ?? null;
      if (made !== undefined) row = made.kind === "gone" ? null : { ...row, ...made.data, id };
      for (const { row_id, kind, data } of this.pending) {
        if (row_id !== id) continue;
        if (kind === "delete") row = null;
        else if (kind === "insert" || row !== null) row = { ...row, ...data, id };
      }
      return row === null ? [] : [row];
    });
  }
}

test("an app's changes overlay the server's rows until the server changes them", () => {
  fc.assert(
    fc.property(steps, (script) => {
      const store = new LocalStore();
      const model = new Model();
      const list = liveQuery(store, "Todo");
      let heard = 0;
      list.subscribe(() => (heard += 1));
      let seq = 0;
      for (const step of script) {
        const shown = JSON.stringify(list.getSnapshot());
        const before = heard;
        if (step.do === "local") {
          store.applyChange(step.change);
          model.change(step.change);
        } else if (step.do === "event") {
          seq += 1;
          store.applyChanges([{ ...step.change, seq, timestamp: "" }]);
          model.event(step.change);
        } else if (step.do === "pending") {
          store.setPending(step.writes);
          model.pending = step.writes;
        } else {
          const ids = step.do === "drop" ? [] : step.ids;
          seq = step.do === "drop" ? 0 : seq + 1;
          const events = ids.map((id) => ({
            ...{ seq, entity: "Todo", row_id: id, kind: "insert" as const },
            ...{ data: { a: 9 }, timestamp: "" },
          }));
          store.replaceAll(events, seq);
          model.confirmed = new Map(ids.map((id) => [id, { a: 9, id }]));
          if (step.do === "drop") model.local.clear();
          for (const id of ids) model.local.delete(id);
          for (const [id, { kind }] of model.local) if (kind !== "own") model.local.delete(id);
        }
        expect([...list.getSnapshot()]).toEqual(model.rows());
        expect(store.list("Todo").toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(model.rows());
        if (JSON.stringify(list.getSnapshot()) !== shown) expect(heard).toBeGreaterThan(before);
      }
    }),
    { numRuns: 400 },
  );
});

test("an optimistic row has its own id, and can be changed and deleted", () => {
  const store = new LocalStore();
  let notified = 0;
  store.subscribe(() => (notified += 1));
  const id = store.optimisticInsert("Todo", { title: "milk" });
  expect(store.optimisticInsert("Todo", { title: "tea" })).not.toBe(id);
  store.optimisticUpdate("Todo", id, { done: true });
  expect(store.get("Todo", id)).toEqual({ id, title: "milk", done: true });
  store.optimisticDelete("Todo", id);
  expect(store.get("Todo", id)).toBeNull();
  expect(notified).toBe(4);
  store.notify();
  expect(notified).toBe(5);
});

test("clearAll also drops the server's rows, and notifies the engine", async () => {
  const store = new LocalStore();
  let cleared = 0;
  store.onClear(() => (cleared += 1));
  const change = { entity: "Todo", row_id: "1", kind: "insert", data: { a: 1 } } as const;
  store.applyChanges([{ ...change, seq: 7, timestamp: "" }]);
  await store.applyChangesAsync([{ ...change, row_id: "2" }]);
  expect(store.list("Todo")).toHaveLength(2);
  store.clearAll();
  expect(store.list("Todo")).toEqual([]);
  expect(store.cursor.last_seq).toBe(0);
  expect(cleared).toBe(1);
});
