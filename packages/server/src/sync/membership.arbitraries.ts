// An app whose policies read other rows, for the tests of what a change does to others' rows.
import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import { modelOf, text, type Write } from "./history.arbitraries.ts";

/** Todos by membership unless there is a ban, memberships, bans and own rows. */
export const model = modelOf({
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
});

/** Writes of a few rows that give and take permissions. */
export const writes: fc.Arbitrary<Write[]> = fc.array(
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
/** The callers whose permissions the writes change, and two whose they do not. */
export const callers = fc.constantFrom<Caller>(
  { ...ANONYMOUS, userId: "u1" },
  { ...ANONYMOUS, userId: "u2" },
  ANONYMOUS,
  ADMIN,
);
