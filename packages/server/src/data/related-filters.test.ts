import { parseFilter, QueryError } from "@pylonsync/query";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow } from "../store/store.ts";
import { user } from "./testing/app-data.ts";
import { openAppData, type AppData } from "./testing/app-data.ts";
import {
  chat,
  chatReaders,
  chatRows,
  loadChat,
  readableRows,
  type ChatEntity,
  type ChatRows,
} from "./testing/chat-world.ts";

type Filter = Readonly<Record<string, unknown>>;

const RELATIONS: Readonly<Record<string, readonly [ChatEntity, own: string, theirs: string]>> = {
  "Team.channels": ["Channel", "id", "teamId"],
  "Channel.team": ["Team", "teamId", "id"],
  "Channel.messages": ["Message", "id", "channelId"],
  "Message.channel": ["Channel", "channelId", "id"],
};

/** Conditions on rows of the entity, and on their related rows. */
function filterOf(entity: ChatEntity, depth: number): fc.Arbitrary<Filter> {
  const own = OWN[entity];
  if (depth === 0) return own;
  const related = Object.entries(RELATIONS)
    .filter(([name]) => name.startsWith(`${entity}.`))
    .map(([name, [target]]) =>
      fc
        .option(filterOf(target, depth - 1), { freq: 5 })
        .map((filter): Filter => ({ [name.slice(entity.length + 1)]: filter })),
    );
  const some = fc.oneof(own, ...related);
  return fc.oneof(
    ...related,
    fc.tuple(own, ...related.slice(0, 1)).map(([a, b]) => ({ ...a, ...b })),
    fc.array(some, { maxLength: 2 }).map((all): Filter => ({ $or: all })),
    some.map((one): Filter => ({ $not: one })),
  );
}

const word = fc.constantFrom("a", "B", "é", "");
const OWN: Readonly<Record<ChatEntity, fc.Arbitrary<Filter>>> = {
  Team: fc.oneof(
    word.map((name) => ({ name })),
    fc.constant({}),
  ),
  Channel: fc.oneof(
    fc.boolean().map((open) => ({ open })),
    fc.constantFrom("t1", "t2", null).map((teamId) => ({ teamId })),
  ),
  Member: fc.constant({}),
  Message: fc.oneof(
    word.map((text) => ({ text })),
    fc.constantFrom(0, 1, null).map((n) => ({ n })),
  ),
};

/**
 * The meaning of a filter over related rows according to docs/queries.md, on the rows that may be
 * read.
 */
function matches(filter: Filter, entity: ChatEntity, row: StoredRow, readable: ChatRows): boolean {
  return Object.entries(filter).every(([key, asked]) => {
    if (key === "$or")
      return (asked as Filter[]).some((one) => matches(one, entity, row, readable));
    if (key === "$not") return !matches(asked as Filter, entity, row, readable);
    const relation = RELATIONS[`${entity}.${key}`];
    if (relation === undefined) return row[key] === asked;
    const [target, own, theirs] = relation;
    const related = readable[target].filter(
      (other) => row[own] !== null && other[theirs] === row[own],
    );
    return asked === null
      ? related.length === 0
      : related.some((other) => matches(asked as Filter, target, other, readable));
  });
}

const asked = fc
  .constantFrom<ChatEntity[]>("Team", "Channel", "Message")
  .chain((entity) => fc.record({ entity: fc.constant(entity), filter: filterOf(entity, 3) }));

for (const database of ["sqlite", "postgres"] as const) {
  let app: AppData;
  beforeAll(async () => {
    app = await openAppData(chat, { database });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test(`${database}: filters over related rows find the same rows as a full scan`, async () => {
    await fc.assert(
      fc.asyncProperty(chatRows, chatReaders, asked, async (rows, caller, { entity, filter }) => {
        await loadChat(app, rows);
        const readable = readableRows(rows, caller);
        const expected = readable[entity].filter((row) => matches(filter, entity, row, readable));
        const reads = app.reads(caller);
        expect((await reads.query(entity, filter)).map(({ id }) => id)).toEqual(
          expected.map(({ id }) => id),
        );
        expect(await reads.count(entity, filter)).toBe(expected.length);
        expect(await reads.aggregate(entity, { count: true, where: filter })).toEqual([
          { count: expected.length },
        ]);
        expect(await reads.queryGraph({ [entity]: { where: filter } })).toEqual({
          [entity]: expected,
        });
      }),
      { numRuns: database === "sqlite" ? 300 : 40 },
    );
  }, 60_000);
}

async function refusal(filter: unknown): Promise<unknown> {
  await using app = await openAppData(chat);
  return app
    .reads(user("ann"))
    .query("Message", filter)
    .then(
      () => "accepted",
      (error: unknown) => (error instanceof QueryError ? [error.code, error.field] : error),
    );
}

test("an invalid filter over related rows is rejected with its place", async () => {
  expect(await refusal({ channel: { team: { nmae: "x" } } })).toEqual([
    "INVALID_COLUMN",
    "channel.team.nmae",
  ]);
  expect(await refusal({ channel: "c1" })).toEqual(["INVALID_QUERY", "channel"]);
  expect(await refusal({ channel: { open: { $gt: true } } })).toEqual([
    "INVALID_QUERY",
    "channel.open.$gt",
  ]);
  expect(await refusal({ channel: { $limit: 1 } })).toEqual(["INVALID_QUERY", "channel.$limit"]);
  const many = Array.from({ length: 9 }, () => ({ channel: {} }));
  expect(await refusal({ $or: many })).toEqual(["INVALID_QUERY", "$or[8].channel"]);
});

test("without relations a filter over related rows is rejected", () => {
  const ask = (): unknown => parseFilter({ channel: { open: true } });
  expect(ask).toThrow('"open" is not an operator');
});
