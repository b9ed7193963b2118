import { adminOf, type Family } from "../check.ts";
import { holding, text } from "../shape.ts";

/** Many writes at once. */
export const transact: Family = {
  "a transaction keeps all of its operations": async ({ ann, unique }) => {
    const group = unique("all");
    const id = await ann.insert("Task", { title: "before", group });
    const operations = [
      { op: "insert", entity: "Task", data: { title: "inserted", group } },
      { op: "update", entity: "Task", id, data: { title: "after" } },
    ];
    await ann.expect(["POST", "/api/transact", operations], 200, {
      committed: true,
      results: [
        { op: "insert", id: text, ok: true },
        { op: "update", id, ok: true },
      ],
    });
    await ann.expect(["POST", "/api/aggregate/Task", { where: { group }, count: true }], 200, {
      rows: [{ count: 2 }],
    });
  },
  "a transaction of which one is refused keeps nothing": async ({ ann, unique }) => {
    const group = unique("none");
    const operations = [
      { op: "insert", entity: "Task", data: { title: "fine", group } },
      { op: "insert", entity: "Task", data: { title: "refused", group } },
    ];
    await ann.expect(["POST", "/api/transact", operations], 400, {
      committed: false,
      results: holding({ ok: false, error: { code: "POLICY_DENIED", message: text } }),
    });
    await ann.expect(["POST", "/api/query/Task", { group }], 200, []);
  },
  "a batch does each operation on its own": async (wire) => {
    const admin = adminOf(wire);
    const data = { title: "batch", group: wire.unique("batch"), ownerId: wire.ann.userId };
    const operations = [
      { op: "insert", entity: "Task", data },
      { op: "update", entity: "Task", id: "nothing", data: { title: "x" } },
    ];
    await admin.expect(["POST", "/api/batch", { operations }], 200, {
      succeeded: 1,
      failed: 1,
      results: [
        { op: "insert", ok: true },
        { op: "update", ok: false, error: { code: "NOT_FOUND" } },
      ],
    });
    await wire.ann.expect(["POST", "/api/query/Task", { group: data.group }], 200, [data]);
  },
  "a batch is the admin's": async ({ ann }) => {
    await ann.refused(["POST", "/api/batch", { operations: [] }], 403, { code: "FORBIDDEN" });
  },
  "imported rows are exported": async (wire) => {
    const admin = adminOf(wire);
    const row = { id: wire.unique("import"), name: "moved", ownerId: wire.ann.userId };
    await admin.expect(["POST", "/api/import", { entities: { List: [row] } }], 200, {
      imported: 1,
      failed: 0,
    });
    await admin.expect(["GET", "/api/export/List"], 200, {
      entities: { List: holding(row) },
    });
  },
};
