// Collections of a registered app, and by row type. Checked by `npm test`, never run.
import { pylonCollectionOptions, type SyncEngine } from "@pylonsync/tanstack-db";
import { createCollection, createLiveQueryCollection, eq } from "@tanstack/db";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

interface Note {
  readonly id: string;
  readonly text: string;
}

export function check(engine: SyncEngine): void {
  const tasks = createCollection(
    pylonCollectionOptions({ engine, entity: "Task", where: { rank: { $gt: 1 } } }),
  );
  const task = tasks.get("x");
  same<NonNullable<typeof task>["due"], string | null>(true);
  const titles = createLiveQueryCollection((q) =>
    q
      .from({ task: tasks })
      .where(({ task: { rank } }) => eq(rank, 1))
      .select(({ task: { title } }) => ({ title })),
  );
  same<(typeof titles.toArray)[number]["title"], string>(true);
  const notes = createCollection(pylonCollectionOptions<Note>({ engine, entity: "Note" }));
  const note = notes.get("x");
  same<NonNullable<typeof note>["text"], string>(true);
  // @ts-expect-error there is no such entity
  pylonCollectionOptions({ engine, entity: "Nope" });
  // @ts-expect-error there is no such field
  pylonCollectionOptions({ engine, entity: "Task", where: { colour: "red" } });
}
