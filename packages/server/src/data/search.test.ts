import { PylonError } from "@pylonsync/protocol";
import { QueryError } from "@pylonsync/query";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import {
  loadPosts,
  naiveSearch,
  posts,
  postWorlds,
  readablePosts,
  searchers,
  searches,
} from "./testing/search-world.ts";

const articles = buildManifest({
  name: "articles",
  version: "1.0.0",
  entities: [
    entity(
      "Article",
      { title: field.string(), body: field.string().optional() },
      { search: { fields: { title: 5, body: 1 }, language: "english", typos: true } },
    ),
  ],
  policies: [policy({ name: "all", entity: "Article", allow: "true" })],
});

for (const database of ["sqlite", "postgres"] as const) {
  let app: AppData;
  let library: AppData;
  beforeAll(async () => {
    app = await openAppData(posts, { database });
    library = await openAppData(articles, { database });
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await library[Symbol.asyncDispose]();
  });
  const write = (rows: readonly (readonly [id: string, title: string, body?: string])[]) =>
    library.store.transact(async (tx) => {
      for (const [id, title, body = null] of rows) await tx.insert("Article", { id, title, body });
    });
  const found = async (query: string): Promise<string[]> => {
    const { hits } = await library.reads(user("ann")).search("Article", { query });
    return hits.map(({ id }) => id);
  };

  test(`${database}: T1, T2: hits, total and facets are those of the readable rows`, async () => {
    await fc.assert(
      fc.asyncProperty(postWorlds, searchers, searches, async (world, caller, search) => {
        const all = await loadPosts(app, world);
        const expected = naiveSearch(readablePosts(all, world.members, caller), search);
        const reads = app.reads(caller);
        const ids: string[] = [];
        for (let page = 0; ; page += 1) {
          const answer = await reads.search("Post", { ...search, page });
          expect(answer.total).toBe(expected.hits.length);
          expect(answer.facetCounts).toEqual(expected.facets);
          ids.push(...answer.hits.map(({ id }) => id));
          if (caller !== undefined && answer.hits.some((row) => "secret" in row)) return false;
          if (answer.hits.length < search.pageSize) break;
        }
        const isSorted = search.sort !== undefined && search.sort[0] !== "title";
        const order = (list: string[]): string[] => (isSorted ? list : list.toSorted());
        expect(order(ids)).toEqual(order(expected.hits.map(({ id }) => id)));
        const asked = { ...search.filters, $search: search.query ?? "" };
        const rows = await reads.query("Post", asked);
        expect(rows.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
        return true;
      }),
      { numRuns: database === "sqlite" ? 200 : 50 },
    );
  }, 60_000);

  test(`${database}: the best hit comes first, and other forms of a word are found`, async () => {
    await library.clear();
    await write([
      ["a", "Gardening", "a searched phrase in the body"],
      ["b", "Searching", "phrases and phrases"],
      ["c", "Nothing", "of it"],
    ]);
    expect(await found("search phrase")).toEqual(["b", "a"]);
    expect(await found("it")).toEqual(["c"]);
    expect(await found("searching gardens")).toEqual(["a"]);
  });

  test(`${database}: accents and case do not matter`, async () => {
    await library.clear();
    await write([
      ["a", "Crème brûlée à la Ångström"],
      ["b", "CREME"],
      ["c", "日本語 テスト"],
    ]);
    expect((await found("creme")).toSorted()).toEqual(["a", "b"]);
    expect((await found("CRÈME")).toSorted()).toEqual(["a", "b"]);
    expect(await found("angstrom")).toEqual(["a"]);
    expect(await found("テスト")).toEqual(["c"]);
  });

  test(`${database}: a word with a wrong letter finds the intended word`, async () => {
    expect(library.store.findsTypos).toBe(true);
    await library.clear();
    await write([
      ["a", "documents of the database"],
      ["b", "catalogue"],
      ["c", "the cat"],
    ]);
    expect(await found("documnt")).toEqual(["a"]);
    expect(await found("databse documens")).toEqual(["a"]);
    expect(await found("catalgue")).toEqual(["b"]);
    expect(await found("cab")).toEqual([]);
    for (const other of ["unrelated", "garment", "dialogue", "data", "docu"])
      expect([other, await found(other)]).toEqual([other, []]);
  });

  test(`${database}: a text of any length is indexed, though perhaps not its end`, async () => {
    await library.clear();
    const long = Array.from({ length: 120_000 }, (_, at) => `w${at}`).join(" ");
    await write([["a", "short", `first ${long} zebra`]]);
    expect(await found("first w17")).toEqual(["a"]);
    expect(await found("zebra")).toEqual([]);
  });
}

test("highlights are positions in the text and no markup", async () => {
  await using app = await openAppData(articles);
  const body = `${"word ".repeat(60)}then <b>Searches</b> & serches follow`;
  await app.store.transact((tx) => tx.insert("Article", { id: "a", title: "Plain", body }));
  const { highlights } = await app
    .reads(user("ann"))
    .search("Article", { query: "searching", highlight: true });
  const shown = highlights?.[0]?.["body"];
  expect(highlights?.[0]).not.toHaveProperty("title");
  expect(shown?.text).toContain("<b>Searches</b>");
  expect(shown?.text.length).toBeLessThanOrEqual(200);
  expect(shown?.marks.map(([start, end]) => shown.text.slice(start, end))).toEqual(["Searches"]);
});

test("T17: the highlights of many long texts take a limited time", async () => {
  await using app = await openAppData(articles);
  const far = (at: number): string => `${`w${at} é `.repeat(16_000)}zebra ${at}`;
  await app.store.transact(async (tx) => {
    for (let at = 0; at < 70; at += 1)
      await tx.insert("Article", { id: `a${at}`, title: "Zebra", body: far(at) });
  });
  const ask = async (highlight: boolean) => {
    const before = process.cpuUsage();
    const answer = await app
      .reads(user("ann"))
      .search("Article", { query: "zebra", pageSize: 70, highlight });
    const { user: own, system } = process.cpuUsage(before);
    return { answer, cpu: own + system };
  };
  const plain = await ask(false);
  const { answer, cpu } = await ask(true);
  expect(answer.hits.length).toBe(70);
  // Every title, and the first bodies; the others are not searched to their end.
  expect(answer.highlights?.every(({ title }) => title?.marks.length === 1)).toBe(true);
  const bodies = answer.highlights?.filter(({ body }) => body?.marks.length === 1).length ?? 0;
  expect(bodies).toBeGreaterThan(1);
  expect(bodies).toBeLessThan(20);
  expect(cpu - plain.cpu).toBeLessThan(2_000_000);
});

test("an invalid search is rejected with its place", async () => {
  await using app = await openAppData(posts);
  const reads = app.reads(user("ann"));
  const cases: [string, unknown, string, string?][] = [
    ["Plain", {}, "SEARCH_NOT_CONFIGURED", "entity"],
    ["Nope", {}, "ENTITY_NOT_FOUND", "entity"],
    ["Post", [], "INVALID_QUERY", ""],
    ["Post", { q: "x" }, "INVALID_QUERY", "q"],
    ["Post", { query: 1 }, "INVALID_QUERY", "query"],
    ["Post", { query: "x".repeat(501) }, "INVALID_QUERY", "query"],
    ["Post", { query: "a b c d e f g h i j k l m n o p q" }, "INVALID_QUERY", "query"],
    ["Post", { filters: [] }, "INVALID_QUERY", "filters"],
    ["Post", { filters: { $limit: 1 } }, "INVALID_QUERY", "filters.$limit"],
    ["Post", { filters: { nope: 1 } }, "INVALID_COLUMN", "nope"],
    ["Post", { filters: { secret: "alpha" } }, "INVALID_COLUMN", "secret"],
    ["Post", { facets: ["secret"] }, "INVALID_QUERY", "facets[0]"],
    ["Post", { facets: ["title"] }, "INVALID_QUERY", "facets[0]"],
    ["Post", { facets: "brand" }, "INVALID_QUERY", "facets"],
    ["Post", { sort: "price" }, "INVALID_QUERY", "sort"],
    ["Post", { sort: ["price", "up"] }, "INVALID_QUERY", "sort"],
    ["Post", { page: -1 }, "INVALID_QUERY", "page"],
    ["Post", { page: 2 ** 53 }, "INVALID_QUERY", "page"],
    ["Post", { pageSize: 1.5 }, "INVALID_QUERY", "pageSize"],
    ["Post", { highlight: 1 }, "INVALID_QUERY", "highlight"],
  ];
  for (const [name, spec, ...expected] of cases)
    expect([spec, await refusal(() => reads.search(name, spec))]).toEqual([spec, expected]);
  const inFilters: [unknown, string][] = [
    [() => reads.query("Plain", { $search: "x" }), "SEARCH_NOT_CONFIGURED"],
    [() => reads.count("Post", { $search: "x" }), "INVALID_QUERY"],
    [() => reads.query("Post", { $search: 1 }), "INVALID_QUERY"],
  ];
  for (const [ask, code] of inFilters)
    expect((await refusal(ask as () => Promise<unknown>))[0]).toBe(code);
});

test("a page has 1 to 100 hits, and a sort by another field has no effect", async () => {
  await using app = await openAppData(posts);
  await app.store.transact(async (tx) => {
    for (let n = 0; n < 120; n += 1)
      await tx.insert("Post", { ...EMPTY, id: `p${String(n).padStart(3, "0")}`, title: "word" });
  });
  const reads = app.reads(user("ann"));
  const sizes = [];
  for (const pageSize of [0, 1, 100, 1000])
    sizes.push((await reads.search("Post", { query: "word", pageSize })).hits.length);
  expect(sizes).toEqual([1, 1, 100, 100]);
  const byTitle = await reads.search("Post", { sort: ["secret", "asc"], page_size: 2 });
  expect(byTitle.hits.map(({ id }) => id)).toEqual(["p000", "p001"]);
});

const EMPTY = {
  title: null,
  body: null,
  brand: null,
  price: null,
  isNew: null,
  ownerId: "ann",
  teamId: null,
  secret: null,
};

async function refusal(ask: () => Promise<unknown>): Promise<unknown[]> {
  try {
    await ask();
    return ["accepted"];
  } catch (error) {
    if (error instanceof PylonError || error instanceof QueryError)
      return [error.code, error.field];
    throw error;
  }
}
