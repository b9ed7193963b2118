import { expect, test } from "bun:test";
import type { ChangeEvent } from "@pylonsync/protocol";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import { CatchUp } from "./catch-up.ts";
import {
  logOf,
  modelOf,
  readable,
  readerOf,
  replayed,
  text,
  type Log,
  type Write,
} from "./history.arbitraries.ts";
import { Visibility } from "./visibility.ts";

const model = modelOf({
  entities: [
    { name: "Todo", fields: [text("owner"), text("title")], indexes: [] },
    { name: "User", fields: [text("owner"), text("title"), text("_secret")], indexes: [] },
    { name: "Closed", fields: [text("owner"), text("title")], indexes: [] },
  ],
  policies: [
    { name: "todo", entity: "Todo", allow: "auth.userId == data.owner" },
    { name: "user", entity: "User", allowRead: "data.title == 'a' || auth.userId == data.owner" },
  ],
});

/** Writes of a few rows: by turns theirs and others', with texts that a rule looks at. */
const writes: fc.Arbitrary<Write[]> = fc.array(
  fc.record({
    entity: fc.constantFrom("Todo", "User", "Closed", "Forgotten"),
    id: fc.constantFrom("1", "2"),
    row: fc.option(
      fc.record({
        owner: fc.constantFrom("u1", "u2"),
        title: fc.constantFrom("a", "b", null),
        _secret: fc.constantFrom("s1", "s2"),
      }),
      { freq: 3 },
    ),
  }),
  { maxLength: 12 },
);
const callers = fc.constantFrom<Caller>(
  { ...ANONYMOUS, userId: "u1" },
  { ...ANONYMOUS, userId: "u2" },
  ANONYMOUS,
  ADMIN,
);

async function catchUp(
  { records, states }: Log,
  caller: Caller,
  { from, to, isWhole }: { readonly from: number; readonly to: number; readonly isWhole: boolean },
): Promise<ChangeEvent[]> {
  const reader = readerOf(states.at(-1) ?? new Map());
  const visibility = new Visibility(reader, model, () => 0);
  return new CatchUp(reader, model, visibility).events(records.slice(from, to), caller, isWhole);
}

test("a replica that catches up, in one step or two, is what its caller may read", async () => {
  await fc.assert(
    fc.asyncProperty(writes, callers, fc.nat(), fc.nat(), async (all, caller, a, b) => {
      const log = logOf(all);
      const end = log.records.length;
      const from = a % (end + 1);
      const middle = from + (b % (end - from + 1));
      const start = readable(model, log.states[from], caller);
      const expected = readable(model, log.states[end], caller);
      const whole = await catchUp(log, caller, { from, to: end, isWhole: true });
      expect(replayed(start, whole)).toEqual(expected);
      const steps = [
        ...(await catchUp(log, caller, { from, to: middle, isWhole: false })),
        ...(await catchUp(log, caller, { from: middle, to: end, isWhole: true })),
      ];
      expect(replayed(start, steps)).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test("each row has one event at most, in the order of their last changes", async () => {
  await fc.assert(
    fc.asyncProperty(writes, callers, fc.boolean(), async (all, caller, isWhole) => {
      const log = logOf(all);
      const events = await catchUp(log, caller, { from: 0, to: log.records.length, isWhole });
      const keys = events.map(({ entity, row_id: id }) => `${entity} ${id}`);
      expect(new Set(keys).size).toBe(keys.length);
      const seqs = events.map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.toSorted((one, other) => one - other));
    }),
  );
});

test("of what the caller may not read, only the end of a row it could read is told", async () => {
  await fc.assert(
    fc.asyncProperty(writes, callers, fc.nat(), async (all, caller, a) => {
      const log = logOf(all);
      const from = a % (log.records.length + 1);
      const now = readable(model, log.states.at(-1), caller);
      for (const event of await catchUp(log, caller, {
        from,
        to: log.records.length,
        isWhole: true,
      })) {
        const key = `${event.entity} ${event.row_id}`;
        if (event.kind === "delete") {
          expect(event.data).toBeUndefined();
          expect(
            log.states.slice(from).some((state) => readable(model, state, caller).has(key)),
          ).toBe(true);
        } else expect(now.get(key)).toMatchObject(event.data ?? {});
      }
    }),
  );
});
