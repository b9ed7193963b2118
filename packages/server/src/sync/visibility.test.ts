import { expect, test } from "bun:test";
import type { Manifest } from "@pylonsync/sdk";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import {
  logOf,
  modelOf,
  readable,
  readerOf,
  type Replica,
  type Write,
} from "./history.arbitraries.ts";
import { Visibility } from "./visibility.ts";

const text = (name: string) => ({ name, type: "string" as const, optional: true, unique: false });
const manifest: Manifest = {
  manifest_version: 1,
  name: "test",
  version: "0.0.0",
  routes: [],
  queries: [],
  actions: [],
  entities: [
    { name: "Todo", fields: [text("room"), text("owner")], indexes: [] },
    { name: "Member", fields: [text("room"), text("owner")], indexes: [] },
    { name: "Ban", fields: [text("room"), text("owner")], indexes: [] },
    { name: "Own", fields: [text("room"), text("owner")], indexes: [] },
  ],
  policies: [
    // By a membership, unless there is a ban.
    {
      name: "todo",
      entity: "Todo",
      allow:
        "exists(Member, room == data.room && owner == auth.userId) && " +
        "!exists(Ban, room == data.room && owner == auth.userId)",
    },
    // A rule that looks at its own entity.
    {
      name: "member",
      entity: "Member",
      allowRead: "exists(Member, room == data.room && owner == auth.userId)",
    },
    { name: "ban", entity: "Ban", allowRead: "auth.userId == data.owner" },
    { name: "own", entity: "Own", allowRead: "auth.userId == data.owner" },
  ],
};
const model = modelOf(manifest);

const writes: fc.Arbitrary<Write[]> = fc.array(
  fc.record({
    entity: fc.constantFrom("Todo", "Member", "Member", "Ban", "Own"),
    id: fc.constantFrom("1", "2"),
    row: fc.option(
      fc.record({ room: fc.constantFrom("r1", "r2"), owner: fc.constantFrom("u1", "u2", null) }),
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

test("a change that turns what a caller may read of another entity bears on its rights", () => {
  fc.assert(
    fc.property(writes, callers, (all, caller) => {
      const { records, states } = logOf(all);
      for (const [index, record] of records.entries()) {
        const othersOf = (replica: Replica): unknown[] =>
          [...replica.keys()].filter((key) => key !== `${record.entity} ${record.rowId}`);
        const before = othersOf(readable(model, states[index], caller));
        const after = othersOf(readable(model, states[index + 1], caller));
        if (Bun.deepEquals(new Set(before), new Set(after))) continue;
        const visibility = new Visibility(readerOf(states[index + 1] ?? new Map()), model, () => 0);
        expect(visibility.affectsPermissions(record, caller)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});
