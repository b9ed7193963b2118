// The other form of the hooks, in which a call names the row's type itself. Checked by `npm test`,
// never run.
import { callFn, db } from "@pylonsync/react";

/** A row type as an app may declare it, in addition to the registered one. */
interface Todo {
  id: string;
  title: string;
  done: boolean;
}

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

export async function check(): Promise<void> {
  const { data, loading, error, refetch } = db.useQuery<Todo>("Todo", {
    where: { done: false },
    orderBy: { title: "asc" },
    limit: 10,
  });
  same<typeof data, Todo[]>(true);
  same<typeof loading, boolean>(true);
  same<typeof error, Error | null>(true);
  refetch();
  // The list belongs to the component, so it may be sorted in place.
  data.sort((a, b) => a.title.localeCompare(b.title));

  const one = db.useQueryOne<Todo>("Todo", "x");
  same<typeof one.data, Todo | null>(true);

  const counted = db.useFunction<number>("countOpen", { listId: "x" });
  same<typeof counted.data, number | null>(true);
  same<typeof counted.loading, boolean>(true);

  const add = db.useMutation<{ title: string }, { id: string }>("addTodo");
  const added = await add.mutate({ title: "milk" });
  same<typeof added, { id: string }>(true);
  // @ts-expect-error the title is a string
  await add.mutate({ title: 1 });
  // @ts-expect-error the title is missing
  await add.mutate();
  const clear = db.useMutation<Record<string, unknown>>("clear");
  await clear.mutate();

  const called = await callFn<{ id: string }>("addTodo", { title: "milk" }, { token: "t" });
  same<typeof called, { id: string }>(true);
  const found = await db.fn<{ id: string }>("find");
  same<typeof found, { id: string }>(true);
}
