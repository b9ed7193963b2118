// Hooks and calls of a registered app, whose rows and functions are typed by name. Checked by `npm
// test`, never run.
import {
  createTypedDb,
  db,
  fetchList,
  insert,
  useAction,
  useDelete,
  useEngine,
  useFn,
  useInsert,
  useLiveList,
  useLiveRow,
  useMutation,
  useUpdate,
} from "@pylonsync/react";
import type { RegisteredEntities } from "@pylonsync/sdk";
import type { AppSchema } from "./pylon.client.ts";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

export async function check(): Promise<void> {
  const sync = useEngine();
  const { data } = db.useInfiniteQuery("Task", { where: { rank: { $gt: 1 } }, pageSize: 5 });
  same<(typeof data)[number]["due"], string | null>(true);
  const { results } = db.usePaginatedQuery("Task", { orderBy: { rank: "desc" } });
  same<(typeof results)[number]["rank"], number>(true);
  // @ts-expect-error there is no such entity
  db.useInfiniteQuery("Nope");
  // @ts-expect-error there is no such entity
  db.usePaginatedQuery("Nope");
  // @ts-expect-error there is no such field
  db.useInfiniteQuery("Task", { where: { colour: "red" } });
  // @ts-expect-error a page is a number of rows
  db.useInfiniteQuery("Task", { pageSize: "10" });
  // @ts-expect-error there is no such entity
  db.useAggregate("Nope", { count: true });
  const { hits } = db.useSearch("Task", { query: "milk", filters: { rank: { $gt: 1 } } });
  same<(typeof hits)[number]["due"], string | null>(true);
  // @ts-expect-error there is no such field
  db.useSearch("Task", { filters: { colour: "red" } });
  // @ts-expect-error there is no such field
  db.useSearch("Task", { sort: ["rnak", "asc"] });
  // @ts-expect-error there is no such field
  db.useSearch("Task", { facets: ["rnak"] });
  // @ts-expect-error there is no such entity
  db.useSearch("Nope", {});
  const { call } = useFn("rename");
  const { renamed } = await call({ id: "x", title: "y" });
  same<typeof renamed, boolean>(true);
  // @ts-expect-error there is no such function
  useFn("nope");
  // @ts-expect-error the title is missing
  await useAction(sync, "rename")({ id: "x" });
  const rename = useMutation("rename", { token: "t" });
  same<typeof rename.data, { renamed: boolean } | null>(true);
  await useInsert(sync, "Task")({ title: "a", slug: "s" });
  // @ts-expect-error the slug is missing
  await useInsert(sync, "Task")({ title: "a" });
  await useUpdate(sync, "Task")("x", { due: null });
  // @ts-expect-error the slug is set only once
  await useUpdate(sync, "Task")("x", { slug: "other" });
  await useDelete(sync, "Task")("x");
  const list = useLiveList(sync, "Task");
  same<ReturnType<typeof list.getSnapshot>[number]["rank"], number>(true);
  const row = useLiveRow(sync, "Task", "x");
  same<ReturnType<typeof row.getSnapshot>, RegisteredEntities["Task"] | null>(true);
  const tasks = await fetchList("Task");
  same<(typeof tasks)[number]["title"], string>(true);
  await insert("Tag", { name: "a" });
  // @ts-expect-error there is no such field
  await insert("Tag", { name: "a", colour: "red" });
}

export async function checkGeneratedSchema(): Promise<void> {
  const typed = createTypedDb<AppSchema>();
  const { data } = typed.useQuery("Task", { where: { rank: 1 } });
  same<(typeof data)[number]["rank"], number>(true);
  const { renamed } = await typed.fn("rename", { id: "x", title: "y" });
  same<typeof renamed, boolean>(true);
  // @ts-expect-error the title is missing
  await typed.fn("rename", { id: "x" });
  // @ts-expect-error there is no such entity
  typed.useQuery("Nope");
}

export function checkAggregates(): void {
  const sums = db.useAggregate("Bug", {
    count: "site",
    sum: ["bounty"],
    groupBy: ["state", { field: "createdAt", bucket: "day", timeZone: "Europe/Berlin" }],
    where: { state: "open" },
    having: { $or: [{ count: { $gt: 1 } }, { sum_bounty: { $between: ["1", 2] } }] },
    order: { sum_bounty: "desc", state: "asc" },
    limit: 3,
  });
  same<
    NonNullable<typeof sums.data>[number],
    {
      readonly count: number;
      readonly count_site: number;
      readonly sum_bounty: string | null;
      readonly state: "open" | "done";
      readonly createdAt: string;
      readonly createdAt_day: string | null;
    }
  >(true);
  // @ts-expect-error there is no such field
  db.useAggregate("Task", { sum: ["rnak"] });
  // @ts-expect-error clients do not see hidden fields
  db.useAggregate("Bug", { countDistinct: ["pin"] });
  // @ts-expect-error there is no such field
  db.useAggregate("Task", { count: true, where: { rnak: 1 } });
  // @ts-expect-error there is no such result
  db.useAggregate("Task", { count: true, having: { sum_rnak: 1 } });
}
