import type { Caller } from "../caller.ts";
import type { Family } from "../check.ts";
import { anything, expectShape, holding, isFields, number, text } from "../shape.ts";

/** The changes that a replica pulls. */
export const pull: Family = {
  "a pull from 0 is a snapshot of what the caller may read": async ({ ann, bob }) => {
    const [mine, theirs] = [
      await ann.insert("Task", { title: "mine" }),
      await bob.insert("Task", { title: "theirs" }),
    ];
    const answer = await ann.expect(["GET", "/api/sync/pull?since=0"], 200, {
      changes: holding({
        entity: "Task",
        row_id: mine,
        kind: "insert",
        seq: number,
        timestamp: text,
        data: { title: "mine" },
      }),
      cursor: { last_seq: number },
      has_more: false,
    });
    expectShape(JSON.stringify(answer).includes(theirs), false);
  },
  "a snapshot names the kinds of the fields": async ({ ann }) => {
    await ann.expect(["GET", "/api/sync/pull?since=0"], 200, {
      schema: { Task: { title: "string", done: "bool", rank: "int", due: "datetime" } },
    });
  },
  "a pull from a cursor is what changed since": async ({ ann }) => {
    const kept = await ann.insert("Task", { title: "kept" });
    const gone = await ann.insert("Task", { title: "gone" });
    const cursor = await cursorOf(ann);
    await ann.expect(["PATCH", `/api/entities/Task/${kept}`, { rank: 5 }], 200);
    await ann.expect(["DELETE", `/api/entities/Task/${gone}`], 200);
    await ann.expect(["GET", `/api/sync/pull?${cursor}`], 200, {
      changes: [
        { row_id: kept, kind: "update", data: { rank: 5 } },
        { row_id: gone, kind: "delete" },
      ],
    });
  },
  "a row that can no longer be read is withdrawn": async ({ ann, bob }) => {
    const id = await ann.insert("Task", { title: "shared", shared: true });
    const cursor = await cursorOf(bob);
    await ann.expect(["PATCH", `/api/entities/Task/${id}`, { shared: false }], 200);
    await bob.expect(["GET", `/api/sync/pull?${cursor}`], 200, {
      changes: holding({ row_id: id, kind: "delete" }),
    });
  },
  "a snapshot in pages has each row once": async ({ guest }) => {
    const owner = await guest();
    const ids = [];
    for (const title of ["a", "b", "c"]) ids.push(await owner.insert("Task", { title }));
    const seen: string[] = [];
    let page = "";
    do {
      const path = `/api/sync/pull?since=0&limit=2${page}`;
      const answer = await owner.expect(["GET", path], 200, { changes: anything });
      const next = answer["next_page"];
      page = typeof next === "string" ? `&page=${encodeURIComponent(next)}` : "";
      seen.push(JSON.stringify(answer["changes"]));
    } while (page !== "");
    for (const id of ids) expectShape(seen.filter((text) => text.includes(id)).length, 1);
  },
  "a cursor of another log is answered 410": async ({ ann }) => {
    await ann.refused(["GET", "/api/sync/pull?since=1&epoch=another"], 410, {
      code: "RESYNC_REQUIRED",
    });
  },
};

/** The end of the caller's log, as the query string of a request. */
export async function cursorOf(caller: Caller): Promise<string> {
  const { cursor, epoch } = await caller.expect(["GET", "/api/sync/pull?since=0"], 200, {
    cursor: { last_seq: number },
    epoch: text,
  });
  const seq = isFields(cursor) ? Number(cursor["last_seq"]) : 0;
  return `since=${seq}&epoch=${encodeURIComponent(String(epoch))}`;
}
