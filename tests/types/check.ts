// What the compiler must know of a registered app, and what it must refuse. Checked by `npm test`,
// never run.
import type { QueryCtx } from "@pylonsync/functions";
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
    readonly labels: ("ui" | "api")[];
    readonly place: { file: string; line?: number | undefined } | null;
    readonly createdAt: string;
    readonly updatedAt: string;
  }
>(true);
same<Exclude<keyof RowOf<typeof Bug>, keyof ClientRowOf<typeof Bug>>, "pin">(true);
same<keyof InsertOf<typeof Bug>, "id" | "state" | "severity" | "site" | "pin" | "labels" | "place">(
  true,
);
same<keyof PatchOf<typeof Bug>, "state" | "severity" | "site" | "pin" | "labels" | "place">(true);
const bug: InsertOf<typeof Bug> = { pin: "1", severity: "low" };
const least: InsertOf<typeof Task> = { title: "a", slug: "s" };

export async function checkFields(): Promise<void> {
  const bugs = db.useQuery("Bug", {
    where: { state: { $in: ["open"] }, severity: { $ne: "low" } },
    orderBy: { updatedAt: "desc" },
  });
  same<(typeof bugs.data)[number]["state"], "open" | "done">(true);
  // @ts-expect-error a client does not see what is hidden
  void bugs.data[0]?.pin;
  // @ts-expect-error there is no such value of the enum
  db.useQuery("Bug", { where: { state: "opne" } });
  // @ts-expect-error there is no such value of the enum in a list
  db.useQuery("Bug", { where: { state: { $in: ["opne"] } } });
  // @ts-expect-error a client does not ask by what is hidden
  db.useQuery("Bug", { where: { pin: "1" } });
  db.useQuery("Bug", { where: { labels: { $exists: true }, place: null } });
  // @ts-expect-error a json is not compared with a value
  db.useQuery("Bug", { where: { place: { file: "a" } } });
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
  // @ts-expect-error a number has no letters
  db.useQuery("Task", { where: { rank: { $ilike: "1" } } });
  // @ts-expect-error a range has two ends
  db.useQuery("Task", { where: { rank: { $between: [1] } } });
  // @ts-expect-error a number is not compared with a text
  db.useQuery("Task", { where: { rank: "1" } });
  // @ts-expect-error a text is not compared with a number
  db.useQuery("Task", { where: { $or: [{ title: { $in: [1] } }] } });
  // @ts-expect-error a date has no part to look for
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
  // @ts-expect-error a number is not a text
  db.useFunction("countTasks", { rank: "1" });
  // @ts-expect-error arguments are missing
  db.useFunction("rename");
}

export async function checkContext(ctx: QueryCtx): Promise<void> {
  const tasks = await ctx.db.query("Task", {
    rank: { $gte: 1 },
    due: { $lt: new Date() },
    $order: { rank: "desc" },
    $limit: 5,
  });
  same<(typeof tasks)[number]["rank"], number>(true);
  // @ts-expect-error a number is not compared with a text
  await ctx.db.query("Task", { rank: "1" });
  await ctx.db.query("Tag", { name: "a", task: { rank: { $gt: 1 } }, $limit: 5 });
  await ctx.db.count("Tag", { $or: [{ task: null }, { task: { $not: { title: "x" } } }] });
  // @ts-expect-error the related row has no such field
  await ctx.db.query("Tag", { task: { rnak: 1 } });
  // @ts-expect-error a number is not compared with a text
  await ctx.db.query("Tag", { task: { rank: "1" } });
  // @ts-expect-error there is no such relation
  await ctx.db.query("Tag", { tusk: { rank: 1 } });
  // @ts-expect-error a client has no related rows at hand
  db.useQuery("Tag", { where: { task: { rank: 1 } } });
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
