import { expect, test } from "bun:test";
import { InfiniteQuery, loadPage, type LoadedPage, type LoadPageOptions } from "./pages.ts";

const rows = Array.from({ length: 45 }, (_, n) => n);

async function ask(_path: string, filter: Readonly<Record<string, unknown>>): Promise<unknown> {
  const { $offset, $limit } = filter;
  return rows.slice(Number($offset), Number($offset) + Number($limit));
}

test("a page reports exactly whether there are more", async () => {
  expect(await loadPage(ask, "Todo")).toEqual({
    data: rows.slice(0, 20),
    total: 20,
    hasMore: true,
  });
  expect((await loadPage(ask, "Todo", { limit: 20, offset: 25 })).hasMore).toBe(false);
  expect((await loadPage(ask, "Todo", { limit: 45 })).hasMore).toBe(false);
  expect((await loadPage(ask, "Todo", { limit: 44 })).hasMore).toBe(true);
  for (const limit of [0, -1, 1.5, 1001, NaN])
    await expect(loadPage(ask, "Todo", { limit })).rejects.toThrow(RangeError);
});

test("an infinite query loads one page at a time, and ignores those before a reset", async () => {
  const asked: LoadPageOptions[] = [];
  const waiting: (() => void)[] = [];
  const query = new InfiniteQuery<number>((page) => {
    asked.push(page);
    const { offset = 0, limit = 0 } = page;
    const data = rows.slice(offset, offset + limit);
    const answer = { data, total: data.length, hasMore: offset + limit < rows.length };
    return new Promise<LoadedPage<number>>((resolve) => waiting.push(() => resolve(answer)));
  });
  let told = 0;
  query.subscribe(() => (told += 1));
  const first = query.loadMore();
  expect(query.loadMore()).toBe(first);
  expect(query.loading).toBe(true);
  waiting[0]?.();
  await first;
  expect([query.data.length, query.hasMore, query.loading, told]).toEqual([20, true, false, 2]);
  const overtaken = query.loadMore();
  query.reset();
  const again = query.loadMore();
  waiting[1]?.();
  waiting[2]?.();
  await Promise.all([overtaken, again]);
  expect(query.data).toEqual(rows.slice(0, 20));
  expect(asked.map(({ offset }) => offset)).toEqual([0, 20, 0]);
  for (const page of [3, 4]) {
    const more = query.loadMore();
    waiting[page]?.();
    await more;
  }
  expect([query.data.length, query.hasMore]).toEqual([45, false]);
  await query.loadMore();
  expect(asked).toHaveLength(5);
});

test("a page that fails can be requested again", async () => {
  let isDown = true;
  const query = new InfiniteQuery<number>(async () => {
    if (isDown) throw new Error("down");
    return { data: [1], total: 1, hasMore: false };
  });
  await expect(query.loadMore()).rejects.toThrow("down");
  expect([query.loading, query.hasMore]).toEqual([false, true]);
  isDown = false;
  await query.loadMore();
  expect(query.data).toEqual([1]);
});
