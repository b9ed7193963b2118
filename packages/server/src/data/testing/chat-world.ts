import { compareValues, TRUE } from "@pylonsync/query";
import { buildManifest, entity, field, policy, relation } from "@pylonsync/sdk";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../../identity/identity.ts";
import type { StoredRow } from "../../store/store.ts";
import { user, type AppData } from "./app-data.ts";

/** A small team chat, whose policies look at other rows. */
export const chat = buildManifest({
  name: "chat",
  version: "1.0.0",
  entities: [
    entity(
      "Team",
      { name: field.string(), ownerId: field.string() },
      {
        relations: [relation({ name: "channels", target: "Channel", field: "teamId", many: true })],
      },
    ),
    entity(
      "Channel",
      { name: field.string(), open: field.bool(), teamId: field.id("Team").optional() },
      {
        relations: [
          relation({ name: "team", target: "Team", field: "teamId" }),
          relation({ name: "messages", target: "Message", field: "channelId", many: true }),
        ],
      },
    ),
    entity("Member", { channelId: field.id("Channel"), userId: field.string() }),
    entity(
      "Message",
      {
        text: field.string(),
        n: field.int().optional(),
        size: field.float().optional(),
        price: field.decimal(36, 18).optional(),
        at: field.datetime().optional(),
        channelId: field.id("Channel").optional(),
      },
      { relations: [relation({ name: "channel", target: "Channel", field: "channelId" })] },
    ),
  ],
  policies: [
    policy({ name: "team", entity: "Team", allowRead: "data.ownerId == auth.userId" }),
    policy({
      name: "channel",
      entity: "Channel",
      allowRead: "data.open || exists(Member, channelId == data.id && userId == auth.userId)",
    }),
    policy({ name: "member", entity: "Member", allowRead: "data.userId == auth.userId" }),
    policy({
      name: "message",
      entity: "Message",
      allowRead:
        "data.n == 0 || exists(Member, channelId == data.channelId && userId == auth.userId)",
    }),
  ],
});

/** The entities of the chat. */
export type ChatEntity = "Team" | "Channel" | "Member" | "Message";
/** Rows by entity. */
export type ChatRows = Readonly<Record<ChatEntity, readonly StoredRow[]>>;

const USERS = ["ann", "bob"];
const TEAMS = ["t1", "t2"];
const CHANNELS = ["c1", "c2", "c3"];
const words = fc.constantFrom("a", "B", "é", "");
const DATES = [
  "2025-12-29T00:30:00.000Z",
  "2026-01-01T10:59:59.999Z",
  "2026-03-29T00:59:00.000Z",
  "2026-03-29T01:01:00.000Z",
  "2026-10-25T00:30:00.000Z",
  "2026-10-25T01:30:00.000Z",
];

function rowsOf(
  ids: fc.Arbitrary<string>,
  values: Record<string, fc.Arbitrary<string | number | boolean | null>>,
  maxLength: number,
): fc.Arbitrary<StoredRow[]> {
  return fc
    .uniqueArray(fc.record({ id: ids, ...values }), { selector: ({ id }) => id, maxLength })
    .map((rows): StoredRow[] => rows.toSorted((a, b) => compareValues(a.id, b.id)));
}

/** Rows of all entities. */
export const chatRows: fc.Arbitrary<ChatRows> = fc.record({
  Team: rowsOf(fc.constantFrom(...TEAMS), { name: words, ownerId: fc.constantFrom(...USERS) }, 2),
  Channel: rowsOf(
    fc.constantFrom(...CHANNELS),
    { name: words, open: fc.boolean(), teamId: fc.option(fc.constantFrom(...TEAMS, "gone")) },
    3,
  ),
  Member: rowsOf(
    fc.constantFrom("m1", "m2", "m3"),
    { channelId: fc.constantFrom(...CHANNELS), userId: fc.constantFrom(...USERS) },
    3,
  ),
  Message: rowsOf(
    fc.stringMatching(/^[a-c][0-9]$/),
    {
      text: words,
      n: fc.option(fc.integer({ min: -1, max: 2 })),
      size: fc.option(fc.constantFrom(-1.5, 0, 0.5, 2)),
      price: fc.option(fc.constantFrom("10", "9", "-0.25", "0.000000000000000001", "123456789.75")),
      at: fc.option(fc.constantFrom(...DATES)),
      channelId: fc.option(fc.constantFrom(...CHANNELS)),
    },
    12,
  ),
});

/** The readers; undefined: a server function, to which policies do not apply. */
export const chatReaders = fc.constantFrom<(Caller | undefined)[]>(
  user("ann"),
  user("bob"),
  ANONYMOUS,
  ADMIN,
  undefined,
);

/** The rows that a caller may read, found by scanning all rows. */
export function readableRows(rows: ChatRows, caller: Caller | undefined): ChatRows {
  if (caller === undefined || caller.isAdmin) return rows;
  const isMember = (channelId: unknown): boolean =>
    rows.Member.some((row) => row["channelId"] === channelId && row["userId"] === caller.userId);
  return {
    Team: rows.Team.filter((row) => row["ownerId"] === caller.userId),
    Channel: rows.Channel.filter((row) => row["open"] === true || isMember(row.id)),
    Member: rows.Member.filter((row) => row["userId"] === caller.userId),
    Message: rows.Message.filter((row) => row["n"] === 0 || isMember(row["channelId"])),
  };
}

/** Replaces the existing rows with these. */
export async function loadChat(app: AppData, rows: ChatRows): Promise<void> {
  await app.store.transact(async (tx) => {
    for (const [name, all] of Object.entries(rows)) {
      await tx.deleteWhere(name, TRUE);
      for (const row of all) await tx.insert(name, row);
    }
  });
}
