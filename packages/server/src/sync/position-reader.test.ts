import { compilePredicate, type Order, parseFilter, rowComparator } from "@pylonsync/query";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { openAppData, type AppData } from "../data/testing/app-data.ts";
import { ADMIN } from "../identity/identity.ts";
import { rewind } from "../policy/rewind.ts";
import type { ChangeRecord, StoredRow } from "../store/store.ts";
import { PositionPassed, PositionReader } from "./position-reader.ts";

const manifest = buildManifest({
  name: "position",
  version: "1.0.0",
  entities: [entity("Note", { n: field.int() })],
});

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

interface Op {
  readonly id: string;
  /** Null: the row is deleted. */
  readonly n: number | null;
}
const op: fc.Arbitrary<Op> = fc.record({
  id: fc.constantFrom("a", "b", "c", "d", "e", "f"),
  n: fc.option(fc.integer({ min: 0, max: 3 })),
});
const ops = fc.array(op, { maxLength: 8 });

/** Writes to the store and to `rows`. */
async function write({ id, n }: Op, rows: Map<string, StoredRow>): Promise<void> {
  const isThere = rows.has(id);
  if (n === null && !isThere) return;
  await app.committer.commit({ caller: ADMIN }, async (writer) => {
    if (n === null) await writer.delete("Note", id);
    else if (isThere) await writer.update("Note", id, { n });
    else await writer.insert("Note", { n }, id);
  });
  if (n === null) rows.delete(id);
  else rows.set(id, { id, n });
}

const filters = fc.constantFrom({}, { n: 1 }, { n: { $gt: 1 } }, { n: { $ne: 2 } });
const orders = fc.constantFrom<readonly Order[]>(
  [],
  [{ field: "n", direction: "asc" }],
  [{ field: "n", direction: "desc" }],
);

test("rows are read as they were, whatever is written later and during the read", async () => {
  await fc.assert(
    fc.asyncProperty(
      ops,
      ops,
      ops,
      filters,
      orders,
      fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
      async (earlier, later, during, filter, order, limit) => {
        const position = await app.clear();
        const rows = new Map<string, StoredRow>();
        for (const each of earlier) await write(each, rows);
        const { head } = await app.store.bounds();
        expect(head).toBeGreaterThanOrEqual(position);
        const then = [...rows.values()];
        for (const each of later) await write(each, rows);

        let known: readonly ChangeRecord[] = await app.store.changes(head, 1_000);
        const left = [...during];
        const settle = async (): Promise<void> => {
          for (const each of left.splice(0, 2)) await write(each, rows);
          known = await app.store.changes(head, 1_000);
        };
        const { where } = parseFilter(filter, app.model.entity("Note").shape);
        const matches = compilePredicate(where);
        const found = await new PositionReader(app.store, settle, () => known).select({
          entity: "Note",
          condition: (touched) => rewind(where, touched),
          order,
          limit,
        });
        const expected = then
          .filter((data) => matches({ data }))
          .toSorted(rowComparator(order))
          .slice(0, limit ?? Infinity);
        expect(found).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
});

test("a store that moves faster than it is read is not read as of a position", async () => {
  await app.clear();
  // Each read is followed by changes of more rows than are read beyond the limit.
  const [rows, changes] = [400, 40];
  await app.committer.commit({ caller: ADMIN }, async (writer) => {
    for (let n = 0; n < rows; n += 1) await writer.insert("Note", { n: 0 }, `r${n}`);
  });
  const { head } = await app.store.bounds();
  let [known, next]: [readonly ChangeRecord[], number] = [[], 0];
  const settle = async (): Promise<void> => {
    await app.committer.commit({ caller: ADMIN }, async (writer) => {
      for (const end = next + changes; next < end; next += 1)
        await writer.update("Note", `r${next}`, { n: 1 });
    });
    known = await app.store.changes(head, 1_000);
  };
  const { where } = parseFilter({}, app.model.entity("Note").shape);
  const reader = new PositionReader(app.store, settle, () => known);
  const read = reader.rows("Note", where, 1);
  expect(await read.catch((error: unknown) => error)).toBeInstanceOf(PositionPassed);
});
