import type { Family } from "../check.ts";
import { absent, holding, number, text, type Fields } from "../shape.ts";

/** The writes that a replica pushes. */
export const push: Family = {
  "each change has a result of its own": async ({ ann, unique }) => {
    const [fine, refused, last] = [unique("fine"), unique("refused"), unique("last")];
    const changes = [insert(fine, "fine"), insert(refused, "refused"), insert(last, "last")];
    await ann.expect(["POST", "/api/sync/push", { changes, results: true }], 200, {
      applied: 2,
      deduped: 0,
      errors: [text],
      cursor: { last_seq: number },
      results: [
        { status: "applied", id: fine },
        { status: "refused", error: { code: "POLICY_DENIED", message: text } },
        { status: "applied", id: last },
      ],
    });
    await ann.expect(["GET", `/api/entities/Task/${last}`], 200, { title: "last" });
  },
  "a client that takes no results is told of the first refusal": async ({ ann, unique }) => {
    const after = unique("after");
    const changes = [insert(unique("refused"), "refused"), insert(after, "after")];
    await ann.expect(["POST", "/api/sync/push", { changes }], 200, {
      applied: 0,
      errors: [text],
      results: absent,
    });
    await ann.refused(["GET", `/api/entities/Task/${after}`], 404, { code: "NOT_FOUND" });
  },
  "an update and a delete are applied in order": async ({ ann, unique }) => {
    const [kept, gone] = [unique("kept"), unique("gone")];
    const update = { entity: "Task", row_id: kept, kind: "update", data: { rank: 7 } };
    const remove = { entity: "Task", row_id: gone, kind: "delete" };
    const changes = [insert(kept, "kept"), insert(gone, "gone"), update, remove];
    await ann.expect(["POST", "/api/sync/push", { changes, results: true }], 200, { applied: 4 });
    await ann.expect(["GET", `/api/entities/Task/${kept}`], 200, { rank: 7 });
    await ann.refused(["GET", `/api/entities/Task/${gone}`], 404, { code: "NOT_FOUND" });
  },
  "an op_id that comes again is applied once": async ({ ann, unique }) => {
    const change = { ...insert(unique("once"), "once"), op_id: unique("op") };
    const body = { changes: [change], results: true };
    await ann.expect(["POST", "/api/sync/push", body], 200, { applied: 1, deduped: 0 });
    await ann.expect(["POST", "/api/sync/push", body], 200, {
      applied: 1,
      deduped: 1,
      results: [{ op_id: change.op_id, status: "deduped" }],
    });
  },
  "an op_id with another change is refused": async ({ ann, unique }) => {
    const op_id = unique("op");
    const send = (title: string, id: string): Fields => ({
      changes: [{ ...insert(id, title), op_id }],
      results: true,
    });
    await ann.expect(["POST", "/api/sync/push", send("one", unique("a"))], 200, { applied: 1 });
    await ann.expect(["POST", "/api/sync/push", send("two", unique("b"))], 200, {
      applied: 0,
      results: [{ error: { code: "IDEMPOTENCY_KEY_REUSED" } }],
    });
  },
  "a change of another's row is refused": async ({ ann, bob, unique }) => {
    const id = await ann.insert("Task", { title: "ann's", group: unique("own") });
    const change = { entity: "Task", row_id: id, kind: "update", data: { title: "bob's" } };
    await bob.expect(["POST", "/api/sync/push", { changes: [change], results: true }], 200, {
      applied: 0,
      results: [{ status: "refused" }],
    });
  },
  "a pushed row is pulled": async ({ ann, unique }) => {
    const id = unique("both");
    const changes = [insert(id, "both ways")];
    await ann.expect(["POST", "/api/sync/push", { changes }], 200, { applied: 1 });
    await ann.expect(["GET", "/api/sync/pull?since=0"], 200, {
      changes: holding({ row_id: id, kind: "insert" }),
    });
  },
  "a push without changes is refused by the key": async ({ ann }) => {
    await ann.refused(["POST", "/api/sync/push", {}], 400, {
      code: "INVALID_DATA",
      field: "changes",
    });
  },
};

function insert(id: string, title: string): Fields {
  return { entity: "Task", row_id: id, kind: "insert", data: { title } };
}
