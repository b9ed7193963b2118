import { MAX_PAGE_BYTES, PylonError } from "@pylonsync/protocol";
import { QueryError, sortRows, type Order } from "@pylonsync/query";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { Caller } from "../identity/identity.ts";
import type { StoredRow } from "../store/store.ts";
import type { Page } from "./paginate.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import {
  chat,
  chatReaders,
  chatRows,
  loadChat,
  readableRows,
  type ChatRows,
} from "./testing/chat-world.ts";

type Options = Readonly<Record<string, unknown>>;

const orders: fc.Arbitrary<Order[]> = fc.uniqueArray(
  fc.record({
    field: fc.constantFrom("text", "n", "size", "at", "channelId", "id"),
    direction: fc.constantFrom("asc" as const, "desc" as const),
  }),
  { maxLength: 3, selector: ({ field }) => field },
);
type Keeps = (row: StoredRow, readable: ChatRows) => boolean;
/** Filters with their meaning. */
const wheres = fc.constantFrom<(readonly [Options, Keeps])[]>(
  [{}, () => true],
  [{ n: { $ne: 1 } }, (row) => row["n"] !== 1],
  [{ text: { $in: ["a", "é"] } }, (row) => row["text"] === "a" || row["text"] === "é"],
  [
    { channel: { open: true } },
    (row, { Channel }) => Channel.some(({ id, open }) => open === true && id === row["channelId"]),
  ],
);
const lists = fc
  .record({ order: orders, asked: wheres, limit: fc.integer({ min: 1, max: 4 }) })
  .map(({ asked: [where, keeps], ...rest }) => ({ where, keeps, ...rest }));

function optionsOf({ order, where, limit }: { order: Order[]; where: Options; limit: number }) {
  return {
    order: Object.fromEntries(order.map(({ field, direction }) => [field, direction])),
    where,
    limit,
  };
}

/** Reads pages starting with the given one, following the cursors that `next` returns. */
async function walk(
  read: (cursor: string | null) => Promise<Page>,
  start: Page,
  next: (page: Page) => string | null,
): Promise<Page[]> {
  const pages = [start];
  for (let cursor = next(start); cursor !== null;) {
    const page = await read(cursor);
    pages.push(page);
    if (pages.length > 50) throw new Error("The pages do not end.");
    cursor = next(page);
  }
  return pages;
}

const ids = (rows: readonly StoredRow[]): string[] => rows.map(({ id }) => id);

for (const database of ["sqlite", "postgres"] as const) {
  let app: AppData;
  beforeAll(async () => {
    app = await openAppData(chat, { database });
  });
  afterAll(() => app[Symbol.asyncDispose]());
  const runs = database === "sqlite" ? 200 : 40;

  const pagesOf = (caller: Caller | undefined, options: Options) => (cursor: string | null) =>
    app.reads(caller).paginate("Message", { ...options, cursor });

  test(`${database}: pages forwards and backwards are the whole list, in its order`, async () => {
    await fc.assert(
      fc.asyncProperty(chatRows, chatReaders, lists, async (rows, caller, list) => {
        await loadChat(app, rows);
        const options = optionsOf(list);
        const readable = readableRows(rows, caller);
        const whole = readable.Message.filter((row) => list.keeps(row, readable));
        const expected = sortRows(whole, list.order);
        const read = pagesOf(caller, options);
        const pages = await walk(read, await read(null), ({ nextCursor }) => nextCursor);
        expect(ids(pages.flatMap(({ page }) => page))).toEqual(ids(expected));
        expect(pages.map(({ isDone }) => isDone)).toEqual(
          pages.map((_, at) => at === pages.length - 1),
        );
        expect(pages.slice(0, -1).every(({ page }) => page.length === list.limit)).toBe(true);
        const last = pages.at(-1);
        if (last === undefined) return;
        const back = await walk(read, last, ({ prevCursor }) => prevCursor);
        expect(ids(back.toReversed().flatMap(({ page }) => page))).toEqual(ids(expected));
        expect(back.at(-1)?.prevCursor).toBeNull();
      }),
      { numRuns: runs },
    );
  }, 60_000);

  test(`${database}: unchanged rows come once and in order while others are written`, async () => {
    const writes = fc.array(
      fc.record({
        id: fc.stringMatching(/^[a-c][0-9]$/),
        row: fc.option(fc.record({ text: fc.constantFrom("a", "B"), n: fc.option(fc.nat(2)) })),
      }),
      { maxLength: 3 },
    );
    await fc.assert(
      fc.asyncProperty(chatRows, lists, fc.array(writes), async (rows, list, batches) => {
        await loadChat(app, rows);
        const read = pagesOf(undefined, { ...optionsOf(list), where: {} });
        const touched = new Set<string>();
        const left = [...batches];
        const write = async (): Promise<void> => {
          for (const { id, row } of left.shift() ?? []) {
            touched.add(id);
            await app.store.transact(async (tx) => {
              await tx.delete("Message", id);
              const none = { size: null, at: null, channelId: null };
              if (row !== null) await tx.insert("Message", { id, ...none, ...row });
            });
          }
        };
        const pages = await walk(
          async (cursor) => {
            await write();
            return read(cursor);
          },
          await read(null),
          ({ nextCursor }) => nextCursor,
        );
        const seen = ids(pages.flatMap(({ page }) => page)).filter((id) => !touched.has(id));
        expect(seen).toEqual(
          ids(sortRows(rows.Message, list.order)).filter((id) => !touched.has(id)),
        );
      }),
      { numRuns: runs / 2 },
    );
  }, 60_000);
}

const ROWS: ChatRows = {
  Team: [],
  Channel: [{ id: "c1", name: "a", open: true, teamId: null }],
  Member: [{ id: "m1", channelId: "c1", userId: "ann" }],
  Message: Array.from({ length: 6 }, (_, n) => ({
    id: `a${n}`,
    text: n < 3 ? "a" : "b",
    n,
    size: null,
    at: null,
    channelId: "c1",
  })),
};

async function withRows(check: (app: AppData) => Promise<void>): Promise<void> {
  await using app = await openAppData(chat);
  await loadChat(app, ROWS);
  await check(app);
}

async function refusal(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return "accepted";
  } catch (error) {
    if (error instanceof PylonError || error instanceof QueryError)
      return [error.code, error.field];
    throw error;
  }
}

test("a cursor of another query, a changed one and an invented one are rejected", async () => {
  await withRows(async (app) => {
    const reads = app.reads(user("ann"));
    const list = { order: { n: "asc" }, where: { text: "a" }, limit: 1 };
    const { nextCursor: cursor } = await reads.paginate("Message", list);
    if (cursor === null) throw new Error("There is a second page.");
    const again = await reads.paginate("Message", { ...list, limit: 5, cursor });
    expect(ids(again.page)).toEqual(["a1", "a2"]);
    const [form = "", content = "", seal = ""] = cursor.split(".");
    const encoded = (values: unknown): string =>
      Buffer.from(JSON.stringify(values)).toString("base64url");
    const others: Options[] = [
      { ...list, cursor, where: { text: "b" } },
      { ...list, cursor, where: {} },
      { ...list, cursor, order: { n: "desc" } },
      { ...list, cursor, order: { text: "asc" } },
      { ...list, cursor, order: { n: "asc", text: "asc" } },
      { cursor },
      ...[
        "",
        "a1",
        "1..",
        "x".repeat(9000),
        `${form}.${content}`,
        `${form}.${content}.${seal}.x`,
        `2.${content}.${seal}`,
        `${form}.${encoded(["after", 2, "a2"])}.${seal}`,
        `${form}.${encoded(["after", "2", "a2"])}.${seal}`,
        `${form}.${content.slice(1)}.${seal}`,
        7,
        {},
      ].map((made) => ({ ...list, cursor: made })),
    ];
    for (const options of others)
      expect([options, await refusal(reads.paginate("Message", options))]).toEqual([
        options,
        ["INVALID_QUERY", "cursor"],
      ]);
    expect(await refusal(reads.paginate("Channel", { cursor }))).toEqual([
      "INVALID_QUERY",
      "cursor",
    ]);
  });
});

test("an invalid option is rejected with its name", async () => {
  await withRows(async (app) => {
    const reads = app.reads(user("ann"));
    const cases: [unknown, string, string][] = [
      [{ limit: 0 }, "INVALID_QUERY", "limit"],
      [{ limit: 1001 }, "INVALID_QUERY", "limit"],
      [{ limit: "5" }, "INVALID_QUERY", "limit"],
      [{ order: { rank: "asc" } }, "INVALID_COLUMN", "order.rank"],
      [{ order: { n: "up" } }, "INVALID_QUERY", "order.n"],
      [{ order: 5 }, "INVALID_QUERY", "order"],
      [{ where: { $limit: 1 } }, "INVALID_QUERY", "where.$limit"],
      [{ where: [] }, "INVALID_QUERY", "where"],
      [{ offset: 5 }, "INVALID_QUERY", "offset"],
      [[], "INVALID_QUERY", ""],
    ];
    for (const [options, ...expected] of cases)
      expect([options, await refusal(reads.paginate("Message", options))]).toEqual([
        options,
        expected,
      ]);
  });
});

test("the page before one whose rows were deleted continues from there", async () => {
  await withRows(async (app) => {
    const reads = app.reads();
    const list = { order: { n: "desc" }, limit: 2 };
    const first = await reads.paginate("Message", list);
    const second = await reads.paginate("Message", { ...list, cursor: first.nextCursor });
    const third = await reads.paginate("Message", { ...list, cursor: second.nextCursor });
    expect(ids(third.page)).toEqual(["a1", "a0"]);
    await app.store.transact(async (tx) => {
      for (const { id } of third.page) await tx.delete("Message", id);
    });
    const empty = await reads.paginate("Message", { ...list, cursor: second.nextCursor });
    expect(empty).toMatchObject({ page: [], nextCursor: null, isDone: true });
    const back = await reads.paginate("Message", { ...list, cursor: empty.prevCursor });
    expect(ids(back.page)).toEqual(ids(second.page));
    await app.store.transact(async (tx) => {
      for (const { id } of first.page) await tx.delete("Message", id);
    });
    const begin = await reads.paginate("Message", { ...list, cursor: second.prevCursor });
    expect(begin).toMatchObject({ page: second.page, prevCursor: null, isDone: true });
  });
});

test("a page of large rows ends early, and the next one continues after it", async () => {
  await withRows(async (app) => {
    const text = "x".repeat(MAX_PAGE_BYTES / 4);
    const large = ROWS.Message.map((row) => ({ ...row, text }));
    await loadChat(app, { ...ROWS, Message: large });
    const read = (cursor: string | null) =>
      app.reads(user("ann")).paginate("Message", { order: { n: "desc" }, cursor });
    const pages = await walk(read, await read(null), ({ nextCursor }) => nextCursor);
    expect(pages.length).toBeGreaterThan(1);
    expect(ids(pages.flatMap(({ page }) => page))).toEqual(["a5", "a4", "a3", "a2", "a1", "a0"]);
    const byText = app.reads().paginate("Message", { order: { text: "asc" }, limit: 1 });
    expect(await refusal(byText)).toEqual(["INVALID_QUERY", "order"]);
  });
});
