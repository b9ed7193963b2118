// The svelte binding of a registered app, and by row type. Checked by `npm test`, never run.
import {
  useEntityMutation,
  useAggregate,
  useFunction,
  useMutation,
  useQuery,
  useQueryOne,
  useSearch,
} from "@pylonsync/svelte";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

interface Note {
  readonly id: string;
  readonly text: string;
}

export async function check(): Promise<void> {
  const tasks = useQuery("Task", () => ({
    where: { rank: { $gt: 1 } },
    orderBy: { rank: "desc" },
  }));
  const [task] = tasks.data;
  same<NonNullable<typeof task>["due"], string | null>(true);
  const bugs = useQuery("Bug", { where: { state: "open" }, limit: 5 });
  same<(typeof bugs.data)[number]["state"], "open" | "done">(true);
  const including = useQuery("Tag", { include: { task: true } });
  const [tag] = including.data;
  same<NonNullable<NonNullable<typeof tag>["task"]>["title"], string>(true);
  const notes = useQuery<Note>("Note", { where: { any: 1 } });
  same<(typeof notes.data)[number], Note>(true);
  const one = useQueryOne("Task", () => "x");
  same<NonNullable<typeof one.data>["title"], string>(true);
  const count = useFunction("countTasks", { rank: 1 });
  same<NonNullable<typeof count.data>["count"], number>(true);
  const rename = useMutation("rename");
  same<typeof rename.data, { renamed: boolean } | null>(true);
  const failure = rename.error;
  if (failure?.code === "TAKEN") same<typeof failure.data.by, string>(true);
  const { renamed } = await rename.mutate({ id: "x", title: "y" });
  same<typeof renamed, boolean>(true);
  const writes = useEntityMutation("Task");
  await writes.insert({ title: "a", slug: "s" });
  await writes.update("x", { due: null });
  // @ts-expect-error the slug is missing
  await writes.insert({ title: "a" });
  // @ts-expect-error the slug is set only once
  await writes.update("x", { slug: "t" });
  // @ts-expect-error there is no such entity
  useQuery("Nope");
  // @ts-expect-error there is no such field
  useQuery("Task", { where: { colour: "red" } });
  // @ts-expect-error there is no such value of the enum
  useQuery("Bug", { where: { state: "opne" } });
  // @ts-expect-error there is no such relation
  useQuery("Tag", { include: { nope: true } });
  // @ts-expect-error there is no such entity
  useQueryOne("Nope", "x");
  // @ts-expect-error there is no such function
  useFunction("nope");
  // @ts-expect-error the title is missing
  await rename.mutate({ id: "x" });
}

export function checkReads(): void {
  const sums = useAggregate("Bug", { count: true, groupBy: ["state"] });
  same<
    NonNullable<typeof sums.data>[number],
    { readonly state: "open" | "done"; readonly count: number }
  >(true);
  const later = useAggregate("Task", () => ({ max: ["rank"] }) as const);
  same<NonNullable<typeof later.data>[number]["max_rank"], number | null>(true);
  const ownSums = useAggregate<{ count: number }>("Task", { count: true });
  same<NonNullable<typeof ownSums.data>[number], { count: number }>(true);
  const found = useSearch("Task", () => ({ query: "milk", filters: { rank: 1 } }));
  same<(typeof found.hits)[number]["title"], string>(true);
  // @ts-expect-error there is no such field
  useAggregate("Task", { sum: ["rnak"] });
  // @ts-expect-error there is no such entity
  useSearch("Nope", {});
}
