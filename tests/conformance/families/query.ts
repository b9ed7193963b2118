import type { Caller } from "../caller.ts";
import type { Family, Wire } from "../check.ts";
import { expectShape, isFields, Mismatch, text, type Fields } from "../shape.ts";

/** Filters, orders, pages and related rows. */
export const query: Family = {
  "each operator of a filter finds its rows": async (wire) => {
    const { ann } = wire;
    const group = await fourTasks(wire);
    for (const [filter, titles] of FILTERS) {
      const asked = JSON.stringify(filter);
      const found = await titlesOf(ann, { group, ...filter });
      expectShape({ asked, found }, { asked, found: titles });
    }
  },
  "rows come in the order that is asked for": async (wire) => {
    const group = await fourTasks(wire);
    const newest = { group, $order: { rank: "desc" }, $limit: 2 };
    await wire.ann.expect(["POST", "/api/query/Task", newest], 200, [
      { title: "delta" },
      { title: "gamma" },
    ]);
    await wire.ann.expect(["POST", "/api/query/Task", { ...newest, $offset: 3 }], 200, [
      { title: "alpha" },
    ]);
  },
  "a field or an operator that does not exist is refused": async ({ ann }) => {
    for (const [filter, code] of [
      [{ colour: "red" }, "INVALID_COLUMN"],
      [{ rank: { $near: 1 } }, "INVALID_QUERY"],
      [{ rank: "one" }, "INVALID_QUERY"],
    ] as const)
      await ann.refused(["POST", "/api/query/Task", filter], 400, { code });
  },
  "a filter finds no rows of others": async (wire) => {
    const group = await fourTasks(wire);
    await wire.bob.expect(["POST", "/api/query/Task", { group }], 200, []);
    await wire.nobody.expect(["POST", "/api/query/Task", { group }], 200, []);
  },
  "a graph has related rows under the relation's name": async ({ ann, unique }) => {
    const listId = await ann.insert("List", { name: "groceries" });
    const group = unique("graph");
    await ann.insert("Task", { title: "milk", listId, group });
    const graph = { Task: { where: { group }, include: { list: {} }, limit: 5 } };
    await ann.expect(["POST", "/api/query", graph], 200, {
      Task: [{ title: "milk", list: { id: listId, name: "groceries" } }],
    });
  },
  "link and unlink set the field of a relation": async ({ ann }) => {
    const listId = await ann.insert("List", { name: "linked" });
    const id = await ann.insert("Task", { title: "linked" });
    const link = { entity: "Task", id, relation: "list" };
    await ann.expect(["POST", "/api/link", { ...link, target_id: listId }], 200, { linked: true });
    await ann.expect(["GET", `/api/entities/Task/${id}`], 200, { listId });
    await ann.expect(["POST", "/api/unlink", link], 200, { unlinked: true });
    await ann.expect(["GET", `/api/entities/Task/${id}`], 200, { listId: null });
  },
  "pages in an order lead on and back": async (wire) => {
    const { ann } = wire;
    const ask = { where: { group: await fourTasks(wire) }, order: { rank: "asc" }, limit: 3 };
    const first = await ann.expect(["POST", "/api/page/Task", ask], 200, {
      data: [{ title: "alpha" }, { title: "beta" }, { title: "gamma" }],
      has_more: true,
      next_cursor: text,
      prev_cursor: null,
    });
    const next = { ...ask, cursor: first["next_cursor"] };
    const second = await ann.expect(["POST", "/api/page/Task", next], 200, {
      data: [{ title: "delta" }],
      has_more: false,
      next_cursor: null,
      prev_cursor: text,
    });
    const back = { ...ask, cursor: second["prev_cursor"] };
    await ann.expect(["POST", "/api/page/Task", back], 200, {
      data: [{ title: "alpha" }, { title: "beta" }, { title: "gamma" }],
    });
  },
};

/** Filters with the titles of the tasks that each one finds among the four. */
const FILTERS: readonly (readonly [Fields, readonly string[]])[] = [
  [{ rank: 2 }, ["beta"]],
  [{ rank: { $eq: 2 } }, ["beta"]],
  [{ rank: { $ne: 2 } }, ["alpha", "gamma", "delta"]],
  [{ rank: { $gt: 2 } }, ["gamma", "delta"]],
  [{ rank: { $gte: 2, $lt: 4 } }, ["beta", "gamma"]],
  [{ rank: { $lte: 1 } }, ["alpha"]],
  [{ rank: { $between: [2, 3] } }, ["beta", "gamma"]],
  [{ rank: { $in: [1, 4] } }, ["alpha", "delta"]],
  [{ rank: { $nin: [1, 4] } }, ["beta", "gamma"]],
  [{ rank: { $not: 2 } }, ["alpha", "gamma", "delta"]],
  [{ title: { $like: "amm" } }, ["gamma"]],
  [{ title: { $ilike: "ALPH" } }, ["alpha"]],
  [{ title: { $startsWith: "be" } }, ["beta"]],
  [{ title: { $endsWith: "lta" } }, ["delta"]],
  [{ price: null }, ["gamma", "delta"]],
  [{ price: { $exists: true } }, ["alpha", "beta"]],
  [{ done: true }, ["delta"]],
  [{ due: { $gte: "2026-01-03T01:00:00+01:00" } }, ["gamma", "delta"]],
  [{ $or: [{ rank: 1 }, { title: "delta" }] }, ["alpha", "delta"]],
  [{ $and: [{ rank: { $gt: 1 } }, { done: false }] }, ["beta", "gamma"]],
  [{ $not: { rank: { $in: [1, 2, 3] } } }, ["delta"]],
];

/** @returns the group of the tasks */
export async function fourTasks({ ann, unique }: Wire): Promise<string> {
  const group = unique("four");
  const rows = [
    { title: "alpha", rank: 1, price: 2.5, due: "2026-01-01T00:00:00Z" },
    { title: "beta", rank: 2, price: 0.5, due: "2026-01-02T00:00:00Z" },
    { title: "gamma", rank: 3, due: "2026-01-03T00:00:00Z" },
    { title: "delta", rank: 4, due: "2026-02-04T00:00:00Z", done: true },
  ];
  for (const row of rows) await ann.insert("Task", { ...row, group });
  return group;
}

async function titlesOf(caller: Caller, filter: Fields): Promise<string[]> {
  const ask = { ...filter, $order: { rank: "asc" } };
  const { text: answered, body } = await caller.request("POST", "/api/query/Task", ask);
  if (!Array.isArray(body)) throw new Mismatch("a list of rows", answered);
  return body.map((row: unknown) => (isFields(row) ? String(row["title"]) : ""));
}
