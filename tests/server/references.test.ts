// Checked references: which rows may be referenced, and what happens to rows when the row that they
// reference is deleted. `PYLON_TEST_STORE=postgres` runs the tests on Postgres.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, definePlugin, entity, field, policy } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage } from "@pylonsync/sync";
import fc from "fast-check";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const USES_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
/** The memory that a cascade over 100,000 small rows may take, at twice what it does. */
const MAX_CASCADE_BYTES = 300 * 1024 * 1024;
const KINDS = ["restrict", "cascade", "setNull"] as const;
/** References of every kind, within the entity and from Leaf: cycles of any length are possible. */
const Node = entity("Node", {
  name: field.string().optional(),
  restrict: field.id("Node", { onDelete: "restrict" }).optional(),
  cascade: field.id("Node", { onDelete: "cascade" }).optional(),
  setNull: field.id("Node", { onDelete: "setNull" }).optional().readonly(),
  loose: field.id("Node").optional(),
});
const Leaf = entity(
  "Leaf",
  { nodeId: field.id("Node", { onDelete: "cascade" }), n: field.int().default(0) },
  { timestamps: true },
);
const hooked: string[] = [];
const app = appOf(
  buildManifest({
    name: "references",
    version: "1.0.0",
    access: "public",
    entities: [Node, Leaf],
    policies: [policy({ name: "leaves", entity: "Leaf", allow: "true", allowDelete: "false" })],
    plugins: [
      definePlugin({
        name: "watch",
        hooks: {
          afterDelete: (row) => void hooked.push(`-${row.id}`),
          afterUpdate: (row) => void hooked.push(`~${row.id}`),
        },
      }),
    ],
  }),
);

let server: TestServer;
let client: TestClient;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

type Row = { id: string } & Record<string, string | null>;
type Refusal = { readonly code: string; readonly field?: string };
const refusalOf = ({ body }: { body: Readonly<Record<string, unknown>> }): Refusal | undefined =>
  body["error"] as Refusal | undefined;

/**
 * The rows that are left after a delete, computed as simply as possible; null if it is rejected.
 */
function afterDelete(rows: ReadonlyMap<string, Row>, id: string): Map<string, Row> | null {
  const gone = new Set([id]);
  for (let size = 0; size < gone.size;) {
    size = gone.size;
    for (const row of rows.values()) if (gone.has(row["cascade"] ?? "")) gone.add(row.id);
  }
  const left = [...rows.values()].filter((row) => !gone.has(row.id));
  if (left.some((row) => gone.has(row["restrict"] ?? ""))) return null;
  return new Map(
    left.map((row) => [row.id, gone.has(row["setNull"] ?? "") ? { ...row, setNull: null } : row]),
  );
}

const ids = fc.nat(6);
const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ set: fc.constantFrom("restrict", "cascade"), of: ids, to: ids }),
    },
    { weight: 2, arbitrary: fc.record({ remove: ids }) },
  ),
  { minLength: 4, maxLength: 12 },
);
type Step =
  | { readonly remove: number }
  | { readonly set: string; readonly of: number; readonly to: number };

let runs = 0;

/** Inserts the rows of a run, in the order of their ids. Some of them reference an earlier one. */
async function insertRows(setNulls: readonly (number | null)[]): Promise<Map<string, Row>> {
  runs += 1;
  const nameOf = (n: number): string => `r${runs}-${n}`;
  const rows = new Map<string, Row>();
  for (const [n, to] of setNulls.entries()) {
    const id = nameOf(n);
    const setNull = to === null || to > n ? null : nameOf(to);
    await client.insert("Node", { id, setNull });
    rows.set(id, { id, name: null, loose: null, restrict: null, cascade: null, setNull });
  }
  return rows;
}

/** Applies a step and checks its response. @returns the rows that are expected after it */
async function take(step: Step, rows: Map<string, Row>): Promise<Map<string, Row>> {
  const nameOf = (n: number): string => `r${runs}-${n}`;
  if ("remove" in step) {
    const id = nameOf(step.remove);
    const answer = await client.request("DELETE", `/api/entities/Node/${id}`);
    const left = rows.has(id) ? afterDelete(rows, id) : rows;
    const refused = left === null ? [409, "REFERENCED"] : [200, undefined];
    expect([answer.status, refusalOf(answer)?.code]).toEqual(
      rows.has(id) ? refused : [404, "NOT_FOUND"],
    );
    return left ?? rows;
  }
  const [id, to] = [nameOf(step.of), nameOf(step.to)];
  const answer = await client.request("PATCH", `/api/entities/Node/${id}`, { [step.set]: to });
  const row = rows.get(id);
  if (row === undefined || !rows.has(to)) {
    expect(answer.status).toBe(row === undefined ? 404 : 400);
    const refusal = { code: "REFERENCE_NOT_FOUND", field: step.set };
    if (row !== undefined) expect(refusalOf(answer)).toMatchObject(refusal);
    return rows;
  }
  expect(answer.status).toBe(200);
  return new Map(rows).set(id, { ...row, [step.set]: to });
}

test("any graph of rows ends as a naive cascade leaves it, on server and client", async () => {
  const engine = createSyncEngine(server.url, {
    token: client.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
  });
  engine.start();
  const setNulls = fc.array(fc.option(ids), { minLength: 7, maxLength: 7 });
  try {
    await fc.assert(
      fc.asyncProperty(setNulls, steps, async (emptied, all) => {
        let rows = await insertRows(emptied);
        for (const step of all) rows = await take(step, rows);
        const where = { id: { $startsWith: `r${runs}-` } };
        const { text } = await client.request("POST", "/api/query/Node", where);
        expect(JSON.parse(text)).toEqual([...rows.values()]);
        await until(() =>
          Bun.deepEquals(engine.query("Node", { where }).getSnapshot(), [...rows.values()]),
        );
      }),
      { numRuns: 30 },
    );
  } finally {
    engine.stop();
  }
}, 90_000);

test("a cascade ignores the policies of the caller, and runs the hooks of each row", async () => {
  const top = await client.insert("Node", { name: "top" });
  const below = await client.insert("Node", { cascade: top });
  const beside = await client.insert("Node", { setNull: top });
  const leaf = await client.insert("Leaf", { nodeId: below });
  expect((await client.request("DELETE", `/api/entities/Leaf/${leaf}`)).status).toBe(403);
  hooked.length = 0;
  expect((await client.request("DELETE", `/api/entities/Node/${top}`)).status).toBe(200);
  expect(hooked.toSorted()).toEqual([`-${top}`, `-${below}`, `-${leaf}`, `~${beside}`].toSorted());
  for (const path of [`Node/${below}`, `Leaf/${leaf}`])
    expect((await client.request("GET", `/api/entities/${path}`)).status).toBe(404);
});

test("writes of one push or transaction may reference each other, in order", async () => {
  const push = (ids: readonly string[]) =>
    client.request("POST", "/api/sync/push", {
      changes: ids.map((id, n) => ({
        entity: n === 0 ? "Node" : "Leaf",
        row_id: id,
        kind: "insert",
        data: n === 0 ? {} : { nodeId: ids[0] },
        op_id: `op-${id}`,
      })),
      results: true,
    });
  const { body } = await push(["push-1", "push-2"]);
  expect(body["results"]).toMatchObject([{ status: "applied" }, { status: "applied" }]);
  const transact = (data: object) =>
    client.request("POST", "/api/transact", [
      { op: "insert", entity: "Node", id: "tx-1", data: {} },
      { op: "insert", entity: "Leaf", data },
    ]);
  expect((await transact({ nodeId: "tx-2" })).body).toMatchObject({
    committed: false,
    results: [{ ok: true }, { error: { code: "REFERENCE_NOT_FOUND", field: "nodeId" } }],
  });
  expect((await transact({ nodeId: "tx-1" })).status).toBe(200);
});

test("an id field that is not checked may name a row that does not exist", async () => {
  const id = await client.insert("Node", { loose: "nobody" });
  expect((await client.request("GET", `/api/entities/Node/${id}`)).body["loose"]).toBe("nobody");
});

test("a cascade may delete more rows than a transaction may write, in bounded memory", async () => {
  // Inserting as many in Postgres would take half a minute.
  const count = USES_POSTGRES ? 20_000 : 100_000;
  const own = await startServer(app);
  try {
    const root = new TestClient(own.url, ADMIN_TOKEN);
    const nodeId = await root.insert("Node", {});
    for (let first = 0; first < count; first += 10_000) {
      const lines = Array.from({ length: 10_000 }, (_, n) =>
        JSON.stringify({ entity: "Leaf", row: { nodeId, n } }),
      );
      await root.request("POST", "/api/import", lines.join("\n"), {
        "content-type": "application/x-ndjson",
      });
    }
    const { rss } = process.memoryUsage();
    expect((await root.request("DELETE", `/api/entities/Node/${nodeId}`)).status).toBe(200);
    expect(process.memoryUsage().rss - rss).toBeLessThan(MAX_CASCADE_BYTES);
    const { body } = await root.request("POST", "/api/aggregate/Leaf", { count: true });
    expect(body["rows"]).toEqual([{ count: 0 }]);
  } finally {
    await own.stop();
  }
}, 120_000);

test("a user is deleted with their own rows, and not while another row needs them", async () => {
  const users = appOf(
    buildManifest({
      name: "users",
      version: "1.0.0",
      access: "public",
      entities: [
        entity("User", { email: field.string().unique() }),
        entity("List", { ownerId: field.id("User", { onDelete: "restrict" }).owner() }),
        entity("Item", {
          ownerId: field.id("User", { onDelete: "restrict" }).owner(),
          listId: field.id("List", { onDelete: "restrict" }),
        }),
        entity("Invoice", { payerId: field.id("User", { onDelete: "restrict" }) }),
        entity("Hint", { forId: field.id("User", { onDelete: "cascade" }) }),
      ],
    }),
  );
  const own = await startServer(users);
  try {
    const root = new TestClient(own.url, ADMIN_TOKEN);
    const signUp = await new TestClient(own.url, null).request(
      "POST",
      "/api/auth/password/register",
      {
        email: "ada@example.com",
        password: "correct horse battery",
      },
    );
    const user = new TestClient(
      own.url,
      String(signUp.body["token"]),
      String(signUp.body["user_id"]),
    );
    const listId = await user.insert("List", {});
    await user.insert("Item", { listId });
    await root.insert("Hint", { forId: user.userId });
    const invoice = await root.insert("Invoice", { payerId: user.userId });
    const remove = () => root.request("DELETE", `/api/admin/users/${user.userId}`);
    expect(refusalOf(await remove())?.code).toBe("REFERENCED");
    // The rejected call deleted nothing.
    expect((await user.request("GET", "/api/auth/me")).body["user_id"]).toBe(user.userId);
    expect((await root.request("GET", `/api/entities/List/${listId}`)).status).toBe(200);
    await root.request("DELETE", `/api/entities/Invoice/${invoice}`);
    expect((await remove()).body).toEqual({ deleted: true });
    for (const name of ["User", "List", "Item", "Hint"]) {
      const { body } = await root.request("POST", `/api/aggregate/${name}`, { count: true });
      expect([name, body["rows"]]).toEqual([name, [{ count: 0 }]]);
    }
  } finally {
    await own.stop();
  }
});

test("with checked references, an id refers to an existing row, unless it is exempt", async () => {
  const checked = await startServer(
    appOf(
      buildManifest({
        name: "checked",
        version: "1.0.0",
        access: "public",
        references: "checked",
        entities: [
          entity("Team", { name: field.string() }),
          entity("Member", {
            teamId: field.id("Team"),
            formerId: field.id("Team", { checked: false }).optional(),
          }),
        ],
      }),
    ),
  );
  const guest = await TestClient.guest(checked.url);
  const member = (row: object) => guest.request("POST", "/api/entities/Member", row);
  const refused = refusalOf(await member({ teamId: "none" }));
  expect(refused).toMatchObject({ code: "REFERENCE_NOT_FOUND", field: "teamId" });
  const teamId = await guest.insert("Team", { name: "a" });
  expect((await member({ teamId, formerId: "none" })).status).toBe(201);
  const deleted = await guest.request("DELETE", `/api/entities/Team/${teamId}`);
  expect(refusalOf(deleted)?.code).toBe("REFERENCED");
  await checked.stop();
});

test("an import accepts rows in any order", async () => {
  const { body } = await admin.request("POST", "/api/import", {
    entities: { Leaf: [{ id: "i-leaf", nodeId: "i-node" }], Node: [{ id: "i-node" }] },
  });
  expect(body).toMatchObject({ imported: 2, failed: 0 });
});

test("no orphan remains when a row is deleted while others start to reference it", async () => {
  for (let round = 0; round < 25; round += 1) {
    const kind = KINDS[round % 3] ?? "cascade";
    const parent = await client.insert("Node", {});
    const work: Promise<{ status: number }>[] = [];
    for (let n = 0; n < 6; n += 1) {
      const data = n % 2 === 0 ? { [kind]: parent } : undefined;
      work.push(
        data === undefined
          ? client.request("POST", "/api/entities/Leaf", { nodeId: parent })
          : client.request("POST", "/api/entities/Node", data),
      );
      if (n === 2) work.push(client.request("DELETE", `/api/entities/Node/${parent}`));
    }
    for (const { status } of await Promise.all(work))
      expect([200, 201, 400, 409]).toContain(status);
    const isThere = (await client.request("GET", `/api/entities/Node/${parent}`)).status === 200;
    const count = async (path: string, where: object): Promise<number> =>
      (JSON.parse((await client.request("POST", `/api/query/${path}`, where)).text) as unknown[])
        .length;
    const referring =
      (await count("Node", { [kind]: parent })) + (await count("Leaf", { nodeId: parent }));
    expect([isThere, !isThere && referring > 0]).toEqual([isThere, false]);
  }
}, 60_000);
