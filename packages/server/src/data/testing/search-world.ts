import { compareValues, TRUE } from "@pylonsync/query";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../../identity/identity.ts";
import type { StoredRow, Value } from "../../store/store.ts";
import { user, type AppData } from "./app-data.ts";

const post = {
  title: field.string().optional(),
  body: field.richtext().optional(),
  brand: field.string().optional(),
  price: field.int().optional(),
  isNew: field.bool().optional(),
  tags: field.array(field.string()).optional(),
  sizes: field.array(field.float()).optional(),
  flags: field.array(field.bool()),
  days: field.array(field.datetime()),
  ownerId: field.string(),
  teamId: field.string().optional(),
  secret: field.string().optional().hidden(),
};

const FACETS = ["brand", "price", "isNew", "tags", "sizes", "flags", "days"] as const;

/** An app with searchable posts, and a policy that looks at other rows. */
export const posts = buildManifest({
  name: "posts",
  version: "1.0.0",
  entities: [
    entity("Member", { teamId: field.string(), userId: field.string() }),
    entity("Post", post, {
      search: {
        fields: { title: 3, body: 1 },
        facets: [...FACETS],
        sort: ["price", "brand"],
        prefix: true,
      },
    }),
    entity("Plain", { title: field.string() }),
  ],
  policies: [
    policy({ name: "member", entity: "Member", allowRead: "false" }),
    policy({
      name: "post",
      entity: "Post",
      allowRead:
        "data.ownerId == auth.userId || " +
        "exists(Member, teamId == data.teamId && userId == auth.userId)",
    }),
    policy({ name: "plain", entity: "Plain", allow: "true" }),
  ],
});

/** Parts of texts, including characters that are syntax somewhere. */
const PARTS = [
  "alpha", "Alphabet", "ALP", "beta", "x1", "1e5", "007", "3.14", "a_b", "foo-bar", "it's",
  "me@x.org", "http://a.b/c?d=e&f#g", "<b>bold</b>", "AND", "or", "NOT", "NEAR(a b)", '"quoted"',
  "title:alpha", "*", "c0:beta", "{c0}", "-beta", "^alpha", "(", ")", "&", "|", "!", "'", "\\",
  ":*", "%", "<->", "\0x", "alpha*",
]; // prettier-ignore
const BRANDS = ["acme", "Acme", "__proto__", "1"];
const TAGS = ["a", "A", "1", "null", "é", "__proto__", "a,b"];
/** With items that occur twice. */
const listOf = <T>(...items: T[]): fc.Arbitrary<T[]> =>
  fc.array(fc.constantFrom(...items), { maxLength: 4 });

const texts = fc
  .array(fc.constantFrom(...PARTS.filter((part) => !part.includes("\0"))), { maxLength: 5 })
  .map((parts) => parts.join(" "));
const rows = fc.uniqueArray(
  fc.record({
    id: fc.stringMatching(/^[a-d][0-9]$/),
    title: fc.option(texts),
    body: fc.option(texts),
    brand: fc.option(fc.constantFrom(...BRANDS)),
    price: fc.option(fc.integer({ min: 0, max: 2 })),
    isNew: fc.option(fc.boolean()),
    tags: fc.option(listOf(...TAGS)),
    sizes: fc.option(listOf(1, 1.5, -2, 1e21, 1e-7)),
    flags: listOf(true, false),
    days: listOf("2026-01-05T10:00:00.000Z", "2026-01-06T00:00:00.000Z"),
    ownerId: fc.constantFrom("ann", "bob"),
    teamId: fc.option(fc.constantFrom("t1", "t2")),
    secret: fc.constant("alpha"),
  }),
  { selector: ({ id }) => id, maxLength: 14 },
);
const members = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom("m1", "m2", "m3"),
    teamId: fc.constantFrom("t1", "t2"),
    userId: fc.constantFrom("ann", "bob", "cid"),
  }),
  { selector: ({ id }) => id, maxLength: 3 },
);

/** Rows that are first inserted, then changed, then deleted. */
export const postWorlds = fc.record({
  members,
  rows,
  changed: fc.array(fc.tuple(fc.nat({ max: 20 }), fc.option(texts)), { maxLength: 4 }),
  deleted: fc.array(fc.nat({ max: 20 }), { maxLength: 3 }),
});
/** The values of `postWorlds`. */
export type PostWorld = typeof postWorlds extends fc.Arbitrary<infer W> ? W : never;

/** The searching callers; undefined: a server function, to which policies do not apply. */
export const searchers = fc.constantFrom<(Caller | undefined)[]>(
  user("ann"),
  user("cid"),
  ANONYMOUS,
  ADMIN,
  undefined,
);

/** Searches of posts. */
export const searches = fc.record({
  query: fc.option(
    fc.array(fc.constantFrom(...PARTS), { maxLength: 3 }).map((parts) => parts.join(" ")),
    { nil: undefined },
  ),
  filters: fc.record(
    {
      brand: fc.constantFrom(...BRANDS, null),
      price: fc.constantFrom<(number | object)[]>(0, 1, { $gt: 0 }),
      isNew: fc.boolean(),
      tags: fc.constantFrom(...TAGS).map((tag) => ({ $has: tag })),
    },
    { requiredKeys: [] },
  ),
  sort: fc.option(
    fc.tuple(fc.constantFrom("price", "brand", "title"), fc.constantFrom("asc", "desc")),
    { nil: undefined },
  ),
  pageSize: fc.integer({ min: 1, max: 6 }),
});
/** The values of `searches`. */
export type Search = typeof searches extends fc.Arbitrary<infer S> ? S : never;

/** Replaces the existing rows with these. @returns the remaining rows */
export async function loadPosts(app: AppData, world: PostWorld): Promise<StoredRow[]> {
  const known = new Map<string, StoredRow>(world.rows.map((row) => [row.id, row]));
  await app.store.transact(async (tx) => {
    await tx.deleteWhere("Member", TRUE);
    await tx.deleteWhere("Post", TRUE);
    for (const row of world.members) await tx.insert("Member", row);
    for (const row of world.rows) await tx.insert("Post", row);
  });
  await app.store.transact(async (tx) => {
    for (const [at, title] of world.changed) {
      const row = world.rows[at];
      if (row === undefined) continue;
      known.set(row.id, { ...row, title });
      await tx.update("Post", row.id, { title });
    }
    for (const at of world.deleted) {
      const row = world.rows[at];
      if (row !== undefined && known.delete(row.id)) await tx.delete("Post", row.id);
    }
  });
  return [...known.values()];
}

/** The posts that a caller may read, found by scanning all posts. */
export function readablePosts(
  all: readonly StoredRow[],
  memberships: PostWorld["members"],
  caller: Caller | undefined,
): StoredRow[] {
  if (caller === undefined || caller.isAdmin) return [...all];
  return all.filter(
    (row) =>
      row["ownerId"] === caller.userId ||
      memberships.some(
        ({ teamId, userId }) => teamId === row["teamId"] && userId === caller.userId,
      ),
  );
}

/** The words of an ASCII text, in lower case. */
function wordsOf(text: Value | undefined): string[] {
  return typeof text === "string" ? (text.toLowerCase().match(/[a-z0-9]+/g) ?? []) : [];
}

/** The expected result of a search of these rows, found by scanning all of them. */
export function naiveSearch(
  all: readonly StoredRow[],
  { query, filters, sort }: Search,
): { readonly hits: StoredRow[]; readonly facets: Record<string, Record<string, number>> } {
  const wanted = [...new Set(wordsOf(query))];
  const hasWords = (row: StoredRow): boolean => {
    if (query === undefined || query.trim() === "") return true;
    const words = [...wordsOf(row["title"]), ...wordsOf(row["body"])];
    return (
      wanted.length > 0 &&
      wanted.every((one, at) =>
        words.some((word) => (at === wanted.length - 1 ? word.startsWith(one) : word === one)),
      )
    );
  };
  const passes = (row: StoredRow, without?: string): boolean =>
    hasWords(row) &&
    Object.entries(filters).every(([name, value]) => {
      if (name === without) return true;
      const own = row[name];
      if (Array.isArray(own) || name === "tags")
        return Array.isArray(own) && own.includes((value as { readonly $has: string }).$has);
      return typeof value === "object" && value !== null
        ? Number(row[name] ?? 0) > 0
        : row[name] === value;
    });
  const facets = FACETS.map((name) => {
    const counts = new Map<string, number>();
    for (const row of all) {
      const value = row[name];
      if (value === null || value === undefined || !passes(row, name)) continue;
      for (const one of new Set(Array.isArray(value) ? value.map(String) : [String(value)]))
        counts.set(one, (counts.get(one) ?? 0) + 1);
    }
    return [name, Object.fromEntries(counts)] as const;
  });
  return {
    hits: all.filter((row) => passes(row)).toSorted((a, b) => byField(a, b, sort)),
    facets: Object.fromEntries(facets),
  };
}

function byField(a: StoredRow, b: StoredRow, sort: Search["sort"]): number {
  const [field, direction] = sort ?? ["title", "asc"];
  const result = field === "title" ? 0 : compareValues(a[field] ?? null, b[field] ?? null);
  if (result !== 0) return direction === "asc" ? result : -result;
  return compareValues(a.id, b.id);
}
