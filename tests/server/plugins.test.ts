import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mutation, query } from "@pylonsync/functions";
import {
  buildManifest,
  definePlugin,
  entity,
  field,
  hooksFor,
  policy,
  type HookContext,
} from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const Item = entity("Item", {
  text: field.string(),
  parentId: field.id("Item", { onDelete: "cascade" }).optional(),
});
const User = entity("User", {
  email: field.string().unique(),
  passwordHash: field.string().hidden(),
});
const Open = entity("Open", { n: field.int() });
const Closed = entity("Closed", { n: field.int() });

/** The hooks that ran, in order, with the text of the row. */
const seen: string[] = [];
const note =
  (name: string) =>
  (data: Readonly<Record<string, unknown>>, { entity: of }: HookContext): void => {
    if (of === "Item") seen.push(`${name} ${String(data["text"])}`);
  };

const loops = definePlugin({
  name: "loops",
  hooks: hooksFor(Open, [], {
    afterInsert: async ({ n }, { db }) => {
      if (n < 0) await db.insert("Open", { n: n - 1 });
    },
  }),
});
const journal = definePlugin({
  name: "journal",
  entities: [entity("Journal", { text: field.string(), userId: field.string().optional() })],
  policies: [{ name: "journal", entity: "Journal", allow: "false" }],
  hooks: hooksFor(Item, {
    beforeInsert: (data, { error }) => {
      if (data.text === "refuse")
        throw error("NO_REFUSE", "This text is refused.", { field: "text" });
      return { ...data, text: String(data.text).trim() };
    },
    afterInsert: async ({ text }, { db, auth, schedule }) => {
      await db.insert("Journal", { text, userId: auth.userId });
      await schedule("journal.echo", { text }, { dedupeKey: `echo ${text}` });
      if (text === "late") throw new Error("The write is undone.");
    },
    afterDelete: async ({ text }, { db, isCascade, auth }) => {
      await db.insert("Journal", {
        text: `${text} gone${isCascade ? " too" : ""}`,
        userId: auth.userId,
      });
    },
  }),
  functions: {
    "journal.texts": query({
      args: {},
      handler: async ({ db }) =>
        (await db.query("Journal")).map((row) =>
          String((row as Readonly<Record<string, unknown>>)["text"]),
        ),
    }),
    "journal.echo": mutation({
      handler: async ({ db }, args) => {
        await db.insert("Journal", {
          text: `echo ${String((args as Readonly<Record<string, unknown>>)["text"])}`,
        });
      },
    }),
  },
});
const app = appOf(
  buildManifest({
    name: "plugins",
    version: "1.0.0",
    entities: [Item, Open, Closed, User],
    policies: [
      policy({ name: "items", entity: "Item", allow: "auth.userId != null" }),
      policy({ name: "open", entity: "Open", allow: "true" }),
    ],
    plugins: [
      definePlugin({
        name: "last",
        after: ["journal", "absent"],
        hooks: { beforeInsert: note("last") },
      }),
      journal,
      loops,
      definePlugin({ name: "first", before: ["journal"], hooks: { beforeInsert: note("first") } }),
      definePlugin({
        name: "narrow",
        policies: (all) =>
          all
            .filter(({ fields }) => fields.some(({ name }) => name === "n"))
            .map(({ name }) => ({
              name: `small ${name}`,
              entity: name,
              restrict: true,
              allow: "data.n < 100",
            })),
      }),
      definePlugin({
        name: "grows",
        schema: (all) =>
          all.map((one) =>
            one.name === "Open"
              ? {
                  ...one,
                  fields: [
                    ...one.fields,
                    { name: "extra", type: "string", optional: true, unique: false },
                  ],
                }
              : one,
          ),
      }),
      definePlugin({
        name: "ranks",
        fields: {
          Open: {
            rank: field.int().default(7).index(),
            label: field.string().default(({ data }) => `number ${String(data["n"])}`),
            secret: field.string().optional().hidden(),
          },
        },
      }),
      definePlugin({
        name: "gate",
        auth: {
          onSignUp: ({ user }) => !String(user["email"]).endsWith("@evil.example"),
          claims: () => ({ roles: ["from-plugin"] }),
        },
      }),
    ],
    auth: { user: { entity: "User" } },
  }),
  {
    add: mutation({ handler: ({ db }, args) => db.insert("Item", args as never) }),
  },
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

const texts = async (): Promise<readonly string[]> => {
  const { body } = await client.request("POST", "/api/fn/journal.texts", {});
  return body as unknown as readonly string[];
};

const idOf = (start: string, text: string): string =>
  `${start}-${text.trim().replaceAll(" ", "-")}`;

type Path = readonly [what: string, write: (text: string) => Promise<unknown>];
const PATHS: readonly Path[] = [
  ["HTTP", (text) => client.request("POST", "/api/entities/Item", { text })],
  [
    "a push",
    (text) =>
      client.request("POST", "/api/sync/push", {
        results: true,
        changes: [{ entity: "Item", row_id: idOf("row", text), kind: "insert", data: { text } }],
      }),
  ],
  [
    "transact",
    (text) =>
      client.request("POST", "/api/transact", [{ op: "insert", entity: "Item", data: { text } }]),
  ],
  [
    "a batch",
    (text) =>
      admin.request("POST", "/api/batch", {
        operations: [{ op: "insert", entity: "Item", data: { text } }],
      }),
  ],
  [
    "an import",
    (text) =>
      admin.request("POST", "/api/import", {
        entities: { Item: [{ id: idOf("i", text), text }] },
      }),
  ],
  ["a function", (text) => client.request("POST", "/api/fn/add", { text })],
];

describe.each(PATHS)("hooks of a write by %s", (what, write) => {
  test("can change the row, write others, schedule jobs, and reach live clients", async () => {
    const live = await client.live(0).ready();
    const text = `by ${what}`;
    seen.length = 0;
    await write(`  ${text} `);
    await until(async () => (await texts()).includes(`echo ${text}`));
    expect((await texts()).filter((one) => one.includes(text))).toEqual([text, `echo ${text}`]);
    expect(seen.slice(-2)).toEqual([`first   ${text} `, `last ${text}`]);
    await until(() => live.texts.some((message) => message.includes(`"${text}"`)));
    live.close();
  });

  test("can reject the write, and an error after it rolls everything back", async () => {
    const before = await texts();
    const answers = [await write("refuse"), await write("late")] as { text: string }[];
    expect(answers[0]?.text).toContain("NO_REFUSE");
    expect(answers[1]?.text).not.toContain("The write is undone.");
    expect(await texts()).toEqual(before);
    const { body } = await admin.request("POST", "/api/query", {
      Item: { where: { text: { $in: ["refuse", "late"] } } },
    });
    expect(body).toMatchObject({ Item: [] });
  });
});

test("hooks run for the rows that a cascade deletes", async () => {
  const parent = await client.insert("Item", { text: "parent" });
  await client.insert("Item", { text: "child", parentId: parent });
  await client.request("DELETE", `/api/entities/Item/${parent}`);
  expect(await texts()).toEqual(expect.arrayContaining(["parent gone", "child gone too"]));
});

test("hooks that write endlessly are stopped and rolled back", async () => {
  expect(await client.request("POST", "/api/entities/Open", { n: -1 })).toMatchObject({
    status: 413,
    body: { error: { code: "TRANSACTION_TOO_LARGE" } },
  });
  expect((await client.request("GET", "/api/entities/Open")).body["data"]).toEqual([]);
});

test("a restricting policy narrows what others allow, and allows nothing itself", async () => {
  const small = await client.insert("Open", { n: 1 });
  expect((await client.request("POST", "/api/entities/Open", { n: 100 })).status).toBe(403);
  expect((await client.request("PATCH", `/api/entities/Open/${small}`, { n: 100 })).status).toBe(
    403,
  );
  const large = await admin.insert("Open", { n: 100 });
  expect((await client.request("GET", `/api/entities/Open/${large}`)).status).toBe(404);
  expect((await client.request("POST", "/api/entities/Closed", { n: 1 })).status).toBe(403);
  const closed = await admin.insert("Closed", { n: 1 });
  expect((await client.request("GET", `/api/entities/Closed/${closed}`)).status).toBe(404);
});

test("a plugin can add fields", async () => {
  const id = await client.insert("Open", { n: 2, extra: "more" });
  expect((await client.request("GET", `/api/entities/Open/${id}`)).body["extra"]).toBe("more");
});

test("the fields that a plugin declares have their defaults, rules and index", async () => {
  const id = await client.insert("Open", { n: 3, secret: "s" });
  const { body } = await client.request("GET", `/api/entities/Open/${id}`);
  expect(body).toMatchObject({ n: 3, rank: 7, label: "number 3" });
  expect(body).not.toHaveProperty("secret");
  const wrong = await client.request("POST", "/api/entities/Open", { n: 3, rank: "first" });
  expect(wrong.body).toMatchObject({ error: { code: "INVALID_DATA", field: "rank" } });
  const manifest = (await admin.request("GET", "/api/manifest")).body;
  const open = (manifest["entities"] as readonly { readonly name: string }[]).find(
    ({ name }) => name === "Open",
  );
  expect(open).toMatchObject({ indexes: [{ name: "by_rank", fields: ["rank"], unique: false }] });
});

test("a plugin can reject a sign-up, and add roles", async () => {
  const register = (email: string) =>
    new TestClient(server.url, null).request("POST", "/api/auth/password/register", {
      email,
      password: "a long enough passw0rd",
    });
  expect(await register("a@evil.example")).toMatchObject({
    status: 403,
    body: { error: { code: "SIGN_UP_REFUSED" } },
  });
  const { body } = await register("a@good.example");
  const user = new TestClient(server.url, String(body["token"]));
  expect((await user.request("GET", "/api/auth/me")).body).toMatchObject({
    roles: ["from-plugin"],
  });
});

describe("an error says what is wrong with a plugin", () => {
  const build = (plugin: object) => () =>
    buildManifest({ name: "a", version: "1.0.0", entities: [Item], plugins: [Object(plugin)] });

  test.each([
    [{ name: "a", hooks: { beforInsert: () => true } }, 'Did you mean "beforeInsert"?'],
    [{ name: "a", auth: { onSignup: () => true } }, 'Did you mean "onSignUp"?'],
    [{ name: "a", functions: { b: () => 1 } }, "make it with query, mutation or action"],
    [{ name: "a", after: "b" }, 'after: ["timestamps"]'],
  ])("%#", (plugin, message) => {
    expect(build(plugin)).toThrow(message);
  });

  test("plugins whose order forms a cycle are rejected", () => {
    const plugins = [
      definePlugin({ name: "a", before: ["b"], hooks: {} }),
      definePlugin({ name: "b", before: ["a"], hooks: {} }),
    ];
    expect(() => buildManifest({ name: "a", version: "1.0.0", entities: [Item], plugins })).toThrow(
      "The plugins a, b form a cycle: each must run before another one of them",
    );
  });
});
