import { MAX_GRAPH_ENTITIES, MAX_GRAPH_ROWS, MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy, relation } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { Caller } from "../identity/identity.ts";
import type { StoredRow } from "../store/store.ts";
import { runGraph } from "./graph.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";

const manifest = buildManifest({
  name: "graph",
  version: "1.0.0",
  entities: [
    entity(
      "List",
      { ownerId: field.string() },
      {
        relations: [relation({ name: "todos", target: "Todo", field: "listId", many: true })],
      },
    ),
    entity(
      "Todo",
      { n: field.int(), listId: field.string().optional(), shared: field.bool() },
      {
        relations: [
          relation({ name: "list", target: "List", field: "listId" }),
          relation({ name: "n", target: "List", field: "listId" }),
        ],
      },
    ),
  ],
  policies: [
    policy({ name: "lists", entity: "List", allowRead: "data.ownerId == auth.userId" }),
    policy({ name: "todos", entity: "Todo", allowRead: "data.shared" }),
  ],
});

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

interface Data {
  readonly lists: readonly StoredRow[];
  readonly todos: readonly StoredRow[];
}

const byId = (rows: readonly StoredRow[]): StoredRow[] =>
  rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));
const listId = fc.constantFrom("l1", "l2", "l3", "l4");
const data: fc.Arbitrary<Data> = fc.record({
  lists: fc
    .uniqueArray(fc.record({ id: listId, ownerId: fc.constantFrom("ann", "bob") }), {
      selector: ({ id }) => id,
    })
    .map(byId),
  todos: fc
    .array(
      fc.record({
        n: fc.integer({ min: 0, max: 2 }),
        listId: fc.option(listId),
        shared: fc.boolean(),
      }),
      { maxLength: 8 },
    )
    .map((rows) => rows.map((row, index) => ({ id: `t${index}`, ...row }))),
});

async function write({ lists, todos }: Data): Promise<void> {
  await app.clear();
  await app.store.transact(async (tx) => {
    for (const row of lists) await tx.insert("List", row);
    for (const row of todos) await tx.insert("Todo", row);
  });
}

/** The rows that a caller may read; a function reads all rows. */
function visibleTo(caller: Caller | undefined, { lists, todos }: Data): Data {
  if (caller === undefined) return { lists, todos };
  return {
    lists: lists.filter((row) => row["ownerId"] === caller.userId),
    todos: todos.filter((row) => row["shared"] === true),
  };
}

test("a graph is each entity's rows, with the related rows that the caller may read", async () => {
  await fc.assert(
    fc.asyncProperty(
      data,
      fc.constantFrom(user("ann"), undefined),
      fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      fc.integer({ min: 0, max: 2 }),
      async (all, caller, limit, n) => {
        await write(all);
        const { lists, todos } = visibleTo(caller, all);
        const answer = await runGraph(app.reads(caller), {
          List: { include: { todos: {} } },
          Todo: {
            where: { n },
            include: { list: true },
            ...(limit === undefined ? {} : { limit }),
          },
        });
        expect<unknown>(answer).toEqual({
          List: lists.map((row) => ({
            ...row,
            todos: todos.filter((todo) => todo["listId"] === row.id),
          })),
          Todo: todos
            .filter((todo) => todo["n"] === n)
            .slice(0, limit ?? Infinity)
            .map((todo) => ({
              ...todo,
              list: lists.find((row) => row.id === todo["listId"]) ?? null,
            })),
        });
      },
    ),
    { numRuns: 25 },
  );
});

async function refusal(graph: unknown): Promise<unknown> {
  const error: unknown = await runGraph(app.reads(user("ann")), graph).catch(
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PylonError)) throw error;
  return [error.code, error.field];
}

const many = Object.fromEntries(
  Array.from({ length: MAX_GRAPH_ENTITIES + 1 }, (_, index) => [`E${index}`, {}]),
);

test.each<[name: string, graph: unknown, code: string, field: string | undefined]>([
  ["a list", [], "INVALID_QUERY", ""],
  ["an unknown entity", { Nothing: {} }, "ENTITY_NOT_FOUND", "entity"],
  ["too many entities", many, "INVALID_QUERY", undefined],
  ["a part that is not one", { Todo: { offset: 1 } }, "INVALID_QUERY", "Todo.offset"],
  ["a filter that is not one", { Todo: { where: 1 } }, "INVALID_QUERY", "Todo.where"],
  ["a limit too high", { Todo: { limit: MAX_PAGE_SIZE + 1 } }, "INVALID_QUERY", "Todo.limit"],
  ["an unknown relation", { Todo: { include: { x: {} } } }, "RELATION_NOT_FOUND", "Todo.include.x"],
  [
    "an unknown relation of a related row",
    { List: { include: { todos: { include: { x: {} } } } } },
    "RELATION_NOT_FOUND",
    "List.include.todos.include.x",
  ],
])("%s is refused with the place of the mistake", async (_, graph, code, place) => {
  await write({ lists: [], todos: [] });
  expect(await refusal(graph)).toEqual([code, place]);
});

test("a relation with the name of a field is rejected and does not replace the field", async () => {
  await write({ lists: [], todos: [{ id: "t", n: 1, listId: null, shared: true }] });
  expect(await refusal({ Todo: { include: { n: {} } } })).toEqual([
    "INVALID_QUERY",
    "Todo.include.n",
  ]);
});

test("included rows count each time that they appear, up to the limit of a response", async () => {
  const lists = [{ id: "l1", ownerId: "ann" }];
  const todosOf = (count: number): StoredRow[] =>
    Array.from({ length: count }, (_, n) => ({ id: `t${n}`, n, listId: "l1", shared: true }));
  await write({ lists, todos: todosOf(MAX_PAGE_SIZE) });
  const graph = { List: { include: { todos: {} } }, Todo: { include: { list: {} } } };
  const { Todo = [] } = await runGraph(app.reads(user("ann")), graph);
  expect(Todo.length).toBe(MAX_PAGE_SIZE);
  await write({ lists, todos: todosOf(MAX_GRAPH_ROWS) });
  expect(await refusal({ List: { include: { todos: {} } } })).toEqual([
    "RESULT_TOO_LARGE",
    undefined,
  ]);
}, 20_000);
