import { compareValues, TRUE } from "@pylonsync/query";
import { buildManifest, entity, field, policy, relation } from "@pylonsync/sdk";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../../identity/identity.ts";
import type { StoredRow } from "../../store/store.ts";
import { user, type AppData } from "./app-data.ts";

/** A small chat with relations of all kinds, in which some rows are hidden from some callers. */
export const team = buildManifest({
  name: "team",
  version: "1.0.0",
  entities: [
    entity(
      "User",
      { name: field.string(), pin: field.string().hidden() },
      {
        relations: [
          relation({ name: "messages", target: "Message", field: "authorId", many: true }),
          relation({
            name: "channels",
            target: "Channel",
            many: true,
            through: "Member",
            field: "userId",
            targetField: "channelId",
          }),
        ],
      },
    ),
    entity(
      "Channel",
      { open: field.bool(), rank: field.int().optional() },
      {
        relations: [
          relation({ name: "messages", target: "Message", field: "channelId", many: true }),
          relation({ name: "members", target: "Member", field: "channelId", many: true }),
          relation({
            name: "people",
            target: "User",
            many: true,
            through: "Member",
            field: "channelId",
            targetField: "userId",
          }),
        ],
      },
    ),
    entity(
      "Member",
      {
        channelId: field.id("Channel").optional(),
        userId: field.id("User").optional(),
        isSecret: field.bool(),
      },
      {
        relations: [
          relation({ name: "user", target: "User", field: "userId" }),
          relation({ name: "channel", target: "Channel", field: "channelId" }),
        ],
      },
    ),
    entity(
      "Message",
      {
        text: field.string(),
        n: field.int().optional(),
        channelId: field.id("Channel").optional(),
        authorId: field.id("User").optional(),
      },
      {
        indexes: [{ name: "by_channel", fields: ["channelId"], unique: false }],
        relations: [
          relation({ name: "channel", target: "Channel", field: "channelId" }),
          relation({ name: "author", target: "User", field: "authorId" }),
        ],
      },
    ),
  ],
  policies: [
    policy({ name: "user", entity: "User", allow: "data.name != 'closed'" }),
    policy({
      name: "channel",
      entity: "Channel",
      allow: "data.open || exists(Member, channelId == data.id && userId == auth.userId)",
    }),
    policy({
      name: "member",
      entity: "Member",
      allow: "!data.isSecret || data.userId == auth.userId",
    }),
    policy({
      name: "message",
      entity: "Message",
      allow: "data.n == 0 || exists(Member, channelId == data.channelId && userId == auth.userId)",
    }),
  ],
});

/** The entities of the team. */
export type TeamEntity = "User" | "Channel" | "Member" | "Message";
/** Rows by entity. */
export type TeamRows = Readonly<Record<TeamEntity, readonly StoredRow[]>>;

/**
 * How a relation leads from rows to rows: by which of their fields, and through which joining rows.
 */
export interface TeamRelation {
  readonly target: TeamEntity;
  readonly isMany: boolean;
  readonly own: string;
  readonly theirs: string;
  readonly through?: { readonly entity: TeamEntity; readonly from: string; readonly to: string };
}

const BY_MEMBER = { isMany: true, own: "id", theirs: "id" } as const;
/** The relations of each entity, expressed independently of the manifest. */
export const TEAM_RELATIONS: Readonly<Record<TeamEntity, Readonly<Record<string, TeamRelation>>>> =
  {
    User: {
      messages: { target: "Message", isMany: true, own: "id", theirs: "authorId" },
      channels: {
        ...BY_MEMBER,
        target: "Channel",
        through: { entity: "Member", from: "userId", to: "channelId" },
      },
    },
    Channel: {
      messages: { target: "Message", isMany: true, own: "id", theirs: "channelId" },
      members: { target: "Member", isMany: true, own: "id", theirs: "channelId" },
      people: {
        ...BY_MEMBER,
        target: "User",
        through: { entity: "Member", from: "channelId", to: "userId" },
      },
    },
    Member: {
      user: { target: "User", isMany: false, own: "userId", theirs: "id" },
      channel: { target: "Channel", isMany: false, own: "channelId", theirs: "id" },
    },
    Message: {
      channel: { target: "Channel", isMany: false, own: "channelId", theirs: "id" },
      author: { target: "User", isMany: false, own: "authorId", theirs: "id" },
    },
  };

const USERS = ["ann", "bob", "cleo"];
const CHANNELS = ["c1", "c2", "c3"];

function rowsOf(
  ids: fc.Arbitrary<string>,
  values: Record<string, fc.Arbitrary<string | number | boolean | null>>,
  maxLength: number,
): fc.Arbitrary<StoredRow[]> {
  return fc
    .uniqueArray(fc.record({ id: ids, ...values }), { selector: ({ id }) => id, maxLength })
    .map((rows): StoredRow[] => rows.toSorted((a, b) => compareValues(a.id, b.id)));
}

/** Rows of all entities; some refer to rows that do not exist. */
export const teamRows: fc.Arbitrary<TeamRows> = fc.record({
  User: rowsOf(
    fc.constantFrom(...USERS),
    { name: fc.constantFrom("a", "b", "closed"), pin: fc.constant("secret") },
    3,
  ),
  Channel: rowsOf(
    fc.constantFrom(...CHANNELS),
    { open: fc.boolean(), rank: fc.option(fc.nat(2)) },
    3,
  ),
  Member: rowsOf(
    fc.stringMatching(/^m[0-9]$/),
    {
      channelId: fc.option(fc.constantFrom(...CHANNELS)),
      userId: fc.option(fc.constantFrom(...USERS)),
      isSecret: fc.boolean(),
    },
    6,
  ),
  Message: rowsOf(
    fc.stringMatching(/^[a-c][0-9]$/),
    {
      text: fc.constantFrom("a", "B", ""),
      n: fc.option(fc.integer({ min: -1, max: 2 })),
      channelId: fc.option(fc.constantFrom(...CHANNELS, "gone")),
      authorId: fc.option(fc.constantFrom(...USERS)),
    },
    12,
  ),
});

/** The readers; undefined: a server function, to which policies do not apply. */
export const teamReaders = fc.constantFrom<(Caller | undefined)[]>(
  user("ann"),
  user("bob"),
  ANONYMOUS,
  ADMIN,
  undefined,
);

/** The rows that a caller may read, as it sees them. */
export function teamReadable(rows: TeamRows, caller: Caller | undefined): TeamRows {
  if (caller === undefined) return rows;
  const shown = {
    ...rows,
    User: rows.User.map(({ id, name = null }): StoredRow => ({ id, name })),
  };
  if (caller.isAdmin) return shown;
  const isMember = (channelId: unknown): boolean =>
    channelId !== null &&
    caller.userId !== null &&
    rows.Member.some((row) => row["channelId"] === channelId && row["userId"] === caller.userId);
  return {
    User: shown.User.filter((row) => row["name"] !== "closed"),
    Channel: rows.Channel.filter((row) => row["open"] === true || isMember(row.id)),
    Member: rows.Member.filter(
      (row) =>
        row["isSecret"] === false || (caller.userId !== null && row["userId"] === caller.userId),
    ),
    Message: rows.Message.filter((row) => row["n"] === 0 || isMember(row["channelId"])),
  };
}

/** Replaces the existing rows with these. */
export async function loadTeam(app: AppData, rows: TeamRows): Promise<void> {
  await app.store.transact(async (tx) => {
    for (const [name, all] of Object.entries(rows)) {
      await tx.deleteWhere(name, TRUE);
      for (const row of all) await tx.insert(name, row);
    }
  });
}
