// What the compiler must know about a registered app, and what it must reject. Checked by `npm
// test`, never run.
import type { MutationCtx, QueryCtx } from "@pylonsync/functions";
import { db } from "@pylonsync/react";
import type { ClientRowOf, InsertOf, PatchOf, RowOf } from "@pylonsync/sdk";
import type { Bug, Task } from "./app.ts";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

same<
  RowOf<typeof Task>,
  {
    readonly id: string;
    readonly title: string;
    readonly rank: number;
    readonly due: string | null;
    readonly slug: string;
    readonly ownerId: string;
  }
>(true);
same<keyof PatchOf<typeof Task>, "title" | "rank" | "due">(true);
same<
  RowOf<typeof Bug>,
  {
    readonly id: string;
    readonly state: "open" | "done";
    readonly severity: "low" | "high" | null;
    readonly site: string | null;
    readonly pin: string;
    readonly bounty: string;
    readonly labels: ("ui" | "api")[];
    readonly code: string;
    readonly isPaid: boolean;
    readonly place: { file: string; line?: number | undefined } | null;
    readonly createdAt: string;
    readonly updatedAt: string;
  }
>(true);
same<Exclude<keyof RowOf<typeof Bug>, keyof ClientRowOf<typeof Bug>>, "pin">(true);
same<
  keyof InsertOf<typeof Bug>,
  "id" | "state" | "bounty" | "severity" | "site" | "pin" | "labels" | "code" | "place"
>(true);
same<
  keyof PatchOf<typeof Bug>,
  "state" | "bounty" | "severity" | "site" | "pin" | "labels" | "code" | "place"
>(true);
export async function checkOperators(): Promise<void> {
  await db.increment("Task", "1", "rank");
  await db.append("Bug", "1", "labels", ["ui"]);
  await db.update("Task", "1", { rank: { $increment: 2 } }, { ifUnchanged: { rank: 1 } });
  await db.update("Bug", "1", { labels: { $append: ["api"] } });
  await db.increment("Bug", "1", "bounty", "-12.50");
  await db.update("Bug", "1", { bounty: { $increment: 10 } });
  const task = { title: "a", slug: "s" };
  await db.upsert("Task", ["title", "slug"], task, { rank: { $increment: 1 } });
  // @ts-expect-error there is no such field
  await db.upsert("Task", "slog", task);
  // @ts-expect-error the row is inserted if it does not exist
  await db.upsert("Task", "slug", { slug: "s" });
  // @ts-expect-error it is set only once
  await db.upsert("Task", "slug", task, { slug: "t" });
  // @ts-expect-error an amount of an int is a number
  await db.increment("Task", "1", "rank", "1");
  // @ts-expect-error a string cannot be incremented
  await db.increment("Task", "1", "title");
  // @ts-expect-error a json field is not a list
  await db.append("Bug", "1", "place", []);
  // @ts-expect-error there is no such value of the enum
  await db.append("Bug", "1", "labels", ["uj"]);
  // @ts-expect-error an amount is a number
  await db.update("Task", "1", { rank: { $increment: "2" } });
  // @ts-expect-error there is no such field
  await db.update("Task", "1", { rank: 2 }, { ifUnchanged: { rnak: 1 } });
}

export async function checkStamps(): Promise<void> {
  const tags = db.useQuery("Tag", { orderBy: { createdAt: "desc" } });
  same<(typeof tags.data)[number]["updatedAt"], string>(true);
  await db.insert("Tag", { name: "a" });
  // @ts-expect-error only the server writes it
  await db.update("Tag", "1", { updatedAt: "2026-01-31" });
  const tasks = db.useQuery("Task");
  // @ts-expect-error this entity has timestamps: false
  void tasks.data[0]?.createdAt;
  const bugs = db.useQuery("Bug");
  // @ts-expect-error it is computed
  await db.insert("Bug", { pin: "1", isPaid: true });
  same<(typeof bugs.data)[number]["isPaid"], boolean>(true);
}

const bug: InsertOf<typeof Bug> = { pin: "1", severity: "low" };
const least: InsertOf<typeof Task> = { title: "a", slug: "s" };

export async function checkFields(): Promise<void> {
  const bugs = db.useQuery("Bug", {
    where: { state: { $in: ["open"] }, severity: { $ne: "low" } },
    orderBy: { updatedAt: "desc" },
  });
  same<(typeof bugs.data)[number]["state"], "open" | "done">(true);
  // @ts-expect-error a client does not see hidden fields
  void bugs.data[0]?.pin;
  // @ts-expect-error a hidden field is in no list that a client reads
  void db.useInfiniteQuery("Bug").data[0]?.pin;
  // @ts-expect-error a hidden field is in no list that a client reads
  void db.usePaginatedQuery("Bug").results[0]?.pin;
  // @ts-expect-error there is no such value of the enum
  db.useQuery("Bug", { where: { state: "opne" } });
  // @ts-expect-error there is no such value of the enum in a list
  db.useQuery("Bug", { where: { state: { $in: ["opne"] } } });
  // @ts-expect-error a client cannot filter by a hidden field
  db.useQuery("Bug", { where: { pin: "1" } });
  db.useQuery("Bug", { where: { labels: { $exists: true }, place: null } });
  // @ts-expect-error a json field is not compared with a value
  db.useQuery("Bug", { where: { place: { file: "a" } } });
  db.useQuery("Bug", { where: { "place.file": { $startsWith: "a" }, "place.line": { $gt: 1 } } });
  db.useQuery("Bug", { where: { labels: { $has: "ui" }, "place.tags": { $hasAny: ["a", 1] } } });
  // @ts-expect-error a string field has no nested paths
  db.useQuery("Bug", { where: { "site.host": "a" } });
  // @ts-expect-error there is no such item
  db.useQuery("Bug", { where: { labels: { $hasAny: ["uj"] } } });
  // @ts-expect-error a string is not a list
  db.useQuery("Bug", { where: { site: { $has: "a" } } });
  await db.insert("Bug", bug);
  await db.insert("Bug", { pin: "1", labels: ["ui"], place: { file: "a.ts" } });
  // @ts-expect-error there is no such item
  await db.insert("Bug", { pin: "1", labels: ["db"] });
  // @ts-expect-error the json has another shape
  await db.insert("Bug", { pin: "1", place: { path: "a.ts" } });
  // @ts-expect-error there is no such value of the enum
  await db.insert("Bug", { pin: "1", state: "opne" });
  // @ts-expect-error the server writes it
  await db.insert("Bug", { pin: "1", createdAt: "2026-01-31" });
  // @ts-expect-error the server writes it
  await db.update("Bug", "x", { updatedAt: "2026-01-31" });
}

export async function check(): Promise<void> {
  const { data } = db.useQuery("Task", { where: { rank: 1 } });
  same<(typeof data)[number]["due"], string | null>(true);
  db.useQuery("Task", {
    where: { $or: [{ rank: { $gt: 3 } }, { $not: { due: null } }] },
    orderBy: { rank: "desc", id: "asc" },
  });
  // @ts-expect-error there is no such entity
  db.useQuery("Nope");
  // @ts-expect-error there is no such entity
  db.useQueryOne("Nope", "x");
  // @ts-expect-error there is no such function
  db.useMutation("nope");
  const since = new Date();
  db.useQuery("Task", {
    where: { title: { $like: "a" }, due: { $gte: since, $lt: "2027-01-01" }, id: { $in: ["x"] } },
  });
  db.useQuery("Task", {
    where: {
      title: { $ilike: "A", $endsWith: "z" },
      rank: { $between: [1, 3] },
      due: { $between: [since, "2027-01-01"] },
    },
  });
  // @ts-expect-error a number has no text operators
  db.useQuery("Task", { where: { rank: { $ilike: "1" } } });
  // @ts-expect-error a range has two ends
  db.useQuery("Task", { where: { rank: { $between: [1] } } });
  // @ts-expect-error a number is not compared with a string
  db.useQuery("Task", { where: { rank: "1" } });
  // @ts-expect-error a string is not compared with a number
  db.useQuery("Task", { where: { $or: [{ title: { $in: [1] } }] } });
  // @ts-expect-error a date has no text operators
  db.useQuery("Task", { where: { due: { $like: "2026" } } });
  // @ts-expect-error there is no such operator
  db.useQuery("Task", { where: { rank: { $above: 1 } } });
  // @ts-expect-error there is no such field
  db.useQuery("Task", { where: { colour: "red" } });
  // @ts-expect-error there is no such field in a part of the filter
  db.useQuery("Task", { where: { $or: [{ colour: "red" }] } });
  // @ts-expect-error there is no such field to order by
  db.useQuery("Task", { orderBy: { colour: "asc" } });
  const { renamed } = await db.fn("rename", { id: "x", title: "y" });
  same<typeof renamed, boolean>(true);
  await db.insert("Task", least);
  await db.update("Task", "x", { due: null });
  await db.update("Task", "x", { due: since });
  // @ts-expect-error there is no such function
  await db.fn("nope", {});
  // @ts-expect-error arguments are missing
  await db.fn("rename");
  // @ts-expect-error the title is missing
  await db.fn("rename", { id: "x" });
  // @ts-expect-error there is no such field
  await db.insert("Tag", { name: "a", colour: "red" });
  // @ts-expect-error an owner is stamped, not changed
  await db.update("Task", "x", { ownerId: "me" });
}

export function checkLive(): void {
  const live = db.useFunction("countTasks", { rank: 1 });
  same<
    typeof live.data,
    {
      at: number;
      chance: number;
      id: string;
      count: number;
    } | null
  >(true);
  same<typeof live.error, Error | null>(true);
  db.useFunction("countTasks");
  // @ts-expect-error there is no such function
  db.useFunction("nope");
  // @ts-expect-error a number is not a string
  db.useFunction("countTasks", { rank: "1" });
  // @ts-expect-error arguments are missing
  db.useFunction("rename");
}

export function checkSuspense(): void {
  const { data: task } = db.useSuspenseQueryOne("Task", "x");
  same<typeof task, RowOf<typeof Task> | null>(true);
  const { data: result } = db.useSuspenseFunction("countTasks");
  same<typeof result.count, number>(true);
  // @ts-expect-error there is no such entity
  db.useSuspenseQuery("Nope");
  // @ts-expect-error there is no such field
  db.useSuspenseQuery("Task", { where: { rnak: 1 } });
  // @ts-expect-error there is no such function
  db.useSuspenseFunction("nope");
}

export function checkOptimistic(): void {
  const rename = db.useMutation("rename").withOptimistic((store, args) => {
    const task = store.get("Task", args.id);
    same<typeof task, RowOf<typeof Task> | null>(true);
    store.update("Task", args.id, { title: args.title });
    store.insert("Task", { id: "1", title: "a", rank: 1 });
    // @ts-expect-error there is no such entity
    store.delete("Tusk", "1");
    // @ts-expect-error there is no such field
    store.update("Task", args.id, { titel: args.title });
    // @ts-expect-error there is no such argument
    void args.titel;
  });
  // @ts-expect-error arguments are missing
  void rename.mutate();
}

export function checkIncludes(): void {
  const { data } = db.useQuery("Tag", {
    where: { name: "a" },
    limit: 5,
    include: { task: { include: { bugs: { order: { state: "asc" }, limit: 2 } } } },
  });
  const bug = data[0]?.task?.bugs[0];
  same<NonNullable<typeof bug>["state"], "open" | "done">(true);
  // @ts-expect-error clients do not see hidden fields
  void bug?.pin;
  // @ts-expect-error the relation is not included
  void data[0]?.task?.tags;
  const infinite = db.useInfiniteQuery("Tag", { pageSize: 5, include: { task: true } });
  same<NonNullable<(typeof infinite.data)[number]["task"]>["rank"], number>(true);
  const paginated = db.usePaginatedQuery("Tag", { initialNumItems: 5, include: { task: true } });
  same<NonNullable<(typeof paginated.results)[number]["task"]>["rank"], number>(true);
  const waited = db.useSuspenseQuery("Tag", { include: { task: true } });
  same<NonNullable<(typeof waited.data)[number]["task"]>["rank"], number>(true);
  // @ts-expect-error there is no such relation
  db.useInfiniteQuery("Tag", { include: { tusk: true } });
  // @ts-expect-error there is no such relation
  db.usePaginatedQuery("Tag", { include: { tusk: true } });
  // @ts-expect-error there is no such relation
  db.useSuspenseQuery("Tag", { include: { tusk: true } });
  // @ts-expect-error there is no such relation
  db.useQuery("Tag", { include: { tusk: true } });
  // @ts-expect-error there is no such relation below
  db.useQuery("Tag", { include: { task: { include: { bugs: true, tugs: true } } } });
  // @ts-expect-error the related row has no such field
  db.useQuery("Task", { include: { tags: { where: { nmae: "a" } } } });
  // @ts-expect-error a client cannot filter by a hidden field
  db.useQuery("Task", { include: { bugs: { where: { pin: "a" } } } });
  // @ts-expect-error a number is not compared with a string
  db.useQuery("Tag", { include: { task: { where: { rank: "1" } } } });
}

export async function checkIncludesInContext(ctx: QueryCtx): Promise<void> {
  const [tag] = await ctx.db.query("Tag", {
    name: "a",
    $include: { task: { include: { bugs: { limit: 2 }, tags: true } } },
  });
  same<null extends NonNullable<typeof tag>["task"] ? true : false, true>(true);
  const inner = tag?.task?.bugs[0];
  // Functions see hidden fields.
  same<NonNullable<typeof inner>["pin"], string>(true);
  same<NonNullable<NonNullable<typeof tag>["task"]>["tags"][number]["name"], string>(true);
  same<NonNullable<typeof tag>["name"], string>(true);
  const included = await ctx.db.paginate("Task", {
    where: { rank: 1 },
    include: { tags: { where: { task: { rank: 1 } }, order: { name: "desc" }, limit: 3 } },
  });
  same<(typeof included)["page"][number]["tags"][number]["name"], string>(true);
  // @ts-expect-error the relation is not included
  void tag?.task?.tugs;
  // @ts-expect-error there is no such relation
  await ctx.db.query("Tag", { $include: { tusk: true } });
  // @ts-expect-error the second of two relations does not exist
  await ctx.db.query("Tag", { $include: { task: true, tusk: true } });
  // @ts-expect-error there is no such relation below
  await ctx.db.query("Tag", { $include: { task: { include: { tags: true, tugs: true } } } });
  // @ts-expect-error the related row has no such field
  await ctx.db.query("Tag", { $include: { task: { where: { rnak: 1 } } } });
  // @ts-expect-error there is no such field to order by
  await ctx.db.query("Task", { $include: { tags: { order: { nmae: "asc" } } } });
  // @ts-expect-error the relation holds one row
  await ctx.db.query("Tag", { $include: { task: { limit: 1 } } });
  // @ts-expect-error there is no such relation
  await ctx.db.paginate("Tag", { include: { tusk: true } });
}

export async function checkUpsert(ctx: MutationCtx): Promise<void> {
  const row = { title: "a", slug: "s", ownerId: "me" };
  const { created } = await ctx.db.upsert("Task", "slug", row, { rank: { $increment: 1 } });
  same<typeof created, boolean>(true);
  await ctx.db.upsert("Task", ["title", "slug"], row);
  // @ts-expect-error there is no such field
  await ctx.db.upsert("Task", "slog", row);
  // @ts-expect-error it is set only once
  await ctx.db.upsert("Task", "slug", row, { slug: "t" });
  // @ts-expect-error the row is inserted if it does not exist
  await ctx.db.upsert("Task", "slug", { slug: "s" });
}

export async function checkAggregates(ctx: QueryCtx): Promise<void> {
  const groups = await ctx.db.aggregate("Task", {
    count: true,
    sum: ["rank"],
    avg: ["rank"],
    max: ["due"],
    countDistinct: ["title"],
    groupBy: ["ownerId"],
    where: { tags: { name: "a" } },
    having: { sum_rank: { $gte: 1 } },
    order: { max_due: "desc" },
    limit: 5,
  });
  same<
    (typeof groups)[number],
    {
      readonly count: number;
      readonly sum_rank: number | null;
      readonly avg_rank: number | null;
      readonly max_due: string | null;
      readonly countDistinct_title: number;
      readonly count_distinct_title: number;
      readonly ownerId: string;
    }
  >(true);
  const byTask = await ctx.db.aggregate("Tag", {
    count: true,
    groupBy: ["task.rank", "name"],
    order: { "task.rank": "desc" },
  });
  same<
    (typeof byTask)[number],
    {
      readonly count: number;
      readonly "task.rank": string | number | boolean | null;
      readonly name: string;
    }
  >(true);
  // @ts-expect-error the related row has no such field
  await ctx.db.aggregate("Tag", { count: true, groupBy: ["task.rnak"] });
  // @ts-expect-error the relation leads to several rows
  await ctx.db.aggregate("Task", { count: true, groupBy: ["tags.name"] });
  // @ts-expect-error there is no such field
  await ctx.db.aggregate("Task", { min: ["rnak"] });
  // @ts-expect-error there is no such field
  await ctx.db.aggregate("Task", { count: true, groupBy: [{ field: "deu", bucket: "day" }] });
  // @ts-expect-error there is no such bucket
  await ctx.db.aggregate("Task", { count: true, groupBy: [{ field: "due", bucket: "decade" }] });
  // @ts-expect-error the related row has no such field
  await ctx.db.aggregate("Task", { count: true, where: { tags: { nmae: "a" } } });
  // @ts-expect-error there is no such result
  await ctx.db.aggregate("Task", { count: true, order: { cuont: "asc" } });
}

export async function checkOrders(ctx: QueryCtx): Promise<void> {
  await ctx.db.query("Task", { $order: [{ rank: "desc" }, ["title", "asc"]] });
  // @ts-expect-error there is no such field to order by
  await ctx.db.query("Task", { $order: { rnak: "desc" } });
  // @ts-expect-error there is no such field to order by
  await ctx.db.query("Task", { $order: [{ rnak: "desc" }] });
  // @ts-expect-error there is no such field to sort by
  await ctx.db.search("Task", { sort: ["rnak", "asc"] });
  // @ts-expect-error there is no such facet
  await ctx.db.search("Task", { facets: ["rnak"] });
  // @ts-expect-error there is no such field
  await ctx.db.queryGraph({ Task: { where: { rnak: 1 } } });
  // @ts-expect-error there is no such relation
  await ctx.db.queryGraph({ Task: { include: { tugs: {} } } });
}

export async function checkLinks(ctx: MutationCtx): Promise<void> {
  await ctx.db.link("Tag", "1", "task", "2");
  // @ts-expect-error there is no such relation
  await ctx.db.link("Tag", "1", "tusk", "2");
  // @ts-expect-error there is no such relation
  await ctx.db.unlink("Tag", "1", "tusk");
}

export async function checkContext(ctx: QueryCtx): Promise<void> {
  const tasks = await ctx.db.query("Task", {
    rank: { $gte: 1 },
    due: { $lt: new Date() },
    $order: { rank: "desc" },
    $limit: 5,
  });
  same<(typeof tasks)[number]["rank"], number>(true);
  // @ts-expect-error a number is not compared with a string
  await ctx.db.query("Task", { rank: "1" });
  await ctx.db.query("Tag", { name: "a", task: { rank: { $gt: 1 } }, $limit: 5 });
  await ctx.db.count("Tag", { $or: [{ task: null }, { task: { $not: { title: "x" } } }] });
  // @ts-expect-error the related row has no such field
  await ctx.db.query("Tag", { task: { rnak: 1 } });
  // @ts-expect-error a number is not compared with a string
  await ctx.db.query("Tag", { task: { rank: "1" } });
  // @ts-expect-error there is no such relation
  await ctx.db.query("Tag", { tusk: { rank: 1 } });
  db.useQuery("Tag", { where: { task: { rank: 1 }, $not: { task: null } } });
  // @ts-expect-error the related row has no such field
  db.useQuery("Tag", { where: { task: { rnak: 1 } } });
  // @ts-expect-error a number is not compared with a string
  db.useQuery("Tag", { where: { $or: [{ task: { rank: "1" } }] } });
  const page = await ctx.db.paginate("Task", {
    where: { rank: { $between: [1, 5] } },
    order: { rank: "desc", id: "asc" },
    cursor: null,
    limit: 20,
  });
  same<(typeof page)["page"][number]["rank"], number>(true);
  // @ts-expect-error there is no such field
  await ctx.db.paginate("Task", { where: { rnak: 1 } });
  // @ts-expect-error there is no such field to order by
  await ctx.db.paginate("Task", { order: { rnak: "asc" } });
  // @ts-expect-error there is no such field
  await ctx.db.query("Task", { colour: "red" });
  // @ts-expect-error there is no such field
  await ctx.db.query("Task", { rnak: 1, $limit: 5 });
  // @ts-expect-error there is no such field in a part of the filter
  await ctx.db.query("Task", { $or: [{ rnak: 1 }] });
  // @ts-expect-error there is no such field
  await ctx.db.count("Task", { colour: "red" });
}
