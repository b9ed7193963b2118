import { afterAll, beforeAll, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { internalMutation, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy, type Plugin } from "@pylonsync/sdk";
import { mcp } from "@pylonsync/sdk/plugins";
import { TestClient } from "../support/client.ts";
import { z } from "zod";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const Note = entity("Note", {
  title: field.string(),
  ownerId: field.string().owner(),
  secret: field.string().hidden().optional(),
  rank: field.int().default(0),
});
const User = entity("User", {
  email: field.string().unique(),
  passwordHash: field.string().hidden(),
});
const Other = entity("Other", { n: field.int() });

const functions = {
  "notes.rename": mutation({
    args: { id: v.id("Note"), title: v.string(), note: v.optional(v.array(v.int())) },
    handler: async ({ db, auth, error }, { id, title }) => {
      const row = (await db.get("Note" as never, id)) as { readonly ownerId: string } | null;
      if (row?.ownerId !== auth.userId) throw error("NOT_YOURS", "This is not your note.");
      return { renamed: await db.update("Note" as never, id, { title }) };
    },
  }),
  breaks: query({
    args: {},
    handler: () => {
      throw new Error("an inner detail");
    },
  }),
  "tags.find": query({
    args: z.object({ tag: z.string().min(2) }),
    rateLimit: { max: 2, windowSecs: 3600 },
    handler: (_ctx, { tag }) => [tag],
  }),
  tags_find: query({ args: {}, handler: () => null }),
  hidden: internalMutation({ handler: () => null }),
};
const manifest = (plugin: Plugin) =>
  buildManifest({
    name: "models",
    version: "1.2.3",
    entities: [Note, Other, User],
    policies: [
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
      policy({ name: "other", entity: "Other", allow: "true" }),
    ],
    plugins: [plugin],
  });
const tools = mcp({
  instructions: "Notes of a person.",
  functions: {
    "notes.rename": { description: "Renames a note." },
    breaks: { description: "Breaks." },
    "tags.find": { description: "Finds tags." },
  },
  entities: { Note: ["read", "insert", "update", "delete"] },
});

let server: TestServer;
let ann: TestClient;
let bob: TestClient;
const clients: Client[] = [];
beforeAll(async () => {
  server = await startServer(appOf(manifest(tools), functions));
  [ann, bob] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await server.stop();
});

async function connect(token: string | null): Promise<Client> {
  const client = new Client({ name: "test", version: "1.0.0" });
  const headers = new Headers(token === null ? [] : [["Authorization", `Bearer ${token}`]]);
  await client.connect(
    new StreamableHTTPClientTransport(new URL("/mcp", server.url), { requestInit: { headers } }),
  );
  clients.push(client);
  return client;
}

interface Called {
  readonly isError: boolean;
  readonly value: unknown;
}

async function call(client: Client, name: string, args: Record<string, unknown>): Promise<Called> {
  const result = await client.callTool({ name, arguments: args });
  const [content] = result.content as { text: string }[];
  return { isError: result.isError === true, value: JSON.parse(content?.text ?? "") };
}

test("a client gets the tools that the app declares, with their input schemas", async () => {
  const client = await connect(ann.token);
  expect(client.getServerVersion()).toMatchObject({ name: "models", version: "1.2.3" });
  expect(client.getInstructions()).toBe("Notes of a person.");
  const found = (await client.listTools()).tools;
  expect(found.map(({ name }) => name)).toEqual([
    "notes_rename",
    "breaks",
    "tags_find",
    "Note_query",
    "Note_get",
    "Note_insert",
    "Note_update",
    "Note_delete",
  ]);
  expect(found[0]).toMatchObject({
    description: "Renames a note.",
    inputSchema: {
      type: "object",
      properties: {
        id: { type: "string" },
        title: { type: "string" },
        note: { type: "array", items: { type: "integer" } },
      },
      required: ["id", "title"],
      additionalProperties: false,
    },
    annotations: { readOnlyHint: false },
  });
  expect(found[5]?.inputSchema.properties?.["data"]).toMatchObject({ required: ["title"] });
  expect(JSON.stringify(found)).not.toContain("secret");
});

test("a model has the rights of its user, and can't access other users' rows", async () => {
  const [own, other] = [await connect(ann.token), await connect(bob.token)];
  const made = await call(own, "Note_insert", { data: { title: "mine" } });
  expect(made.isError).toBe(false);
  const { id } = made.value as { readonly id: string };
  expect((await call(own, "Note_get", { id })).value).toMatchObject({ ownerId: ann.userId });
  expect((await call(own, "notes_rename", { id, title: "renamed" })).value).toEqual({
    renamed: true,
  });
  expect((await call(own, "Note_query", { filter: { title: "renamed" } })).value).toMatchObject([
    { id },
  ]);

  expect((await call(other, "Note_query", {})).value).toEqual([]);
  for (const [name, args] of [
    ["Note_get", { id }],
    ["Note_update", { id, data: { title: "stolen" } }],
    ["Note_delete", { id }],
  ] as const)
    expect(await call(other, name, args)).toMatchObject({
      isError: true,
      value: { error: { code: "NOT_FOUND" } },
    });
  expect(await call(other, "notes_rename", { id, title: "stolen" })).toMatchObject({
    isError: true,
    value: { error: { code: "NOT_YOURS" } },
  });
  expect((await call(own, "Note_update", { id, data: { rank: 2 } })).value).toEqual({
    updated: true,
  });
  expect((await call(own, "Note_get", { id })).value).toMatchObject({ title: "renamed", rank: 2 });
  expect((await call(own, "Note_delete", { id })).value).toEqual({ deleted: true });
});

test("an API key is limited to its scopes", async () => {
  const account = { email: "key@example.com", password: "a long enough passw0rd" };
  const made = await new TestClient(server.url, null).request(
    "POST",
    "/api/auth/password/register",
    account,
  );
  const user = new TestClient(server.url, String(made.body["token"]));
  const { body } = await user.request("POST", "/api/auth/api-keys", {
    name: "model",
    scopes: ["entities:Note:read"],
  });
  const client = await connect(String(body["key"]));
  expect((await call(client, "Note_query", {})).isError).toBe(false);
  expect(await call(client, "Note_insert", { data: { title: "x" } })).toMatchObject({
    isError: true,
    value: { error: { code: "INSUFFICIENT_SCOPE" } },
  });
  expect(await call(client, "notes_rename", { id: "x", title: "x" })).toMatchObject({
    value: { error: { code: "INSUFFICIENT_SCOPE" } },
  });
});

test("wrong tools, invalid input and errors are reported without inner details", async () => {
  const client = await connect(ann.token);
  await expect(client.callTool({ name: "hidden", arguments: {} })).rejects.toThrow(
    "The tool does not exist",
  );
  await expect(client.callTool({ name: "Other_query", arguments: {} })).rejects.toThrow();
  expect(await call(client, "notes_rename", { id: "x", titel: "x" })).toMatchObject({
    value: { error: { code: "INVALID_ARGS" } },
  });
  expect(await call(client, "Note_query", { filter: { colour: 1 } })).toMatchObject({
    value: { error: { code: "INVALID_COLUMN" } },
  });
  const broken = await call(client, "breaks", {});
  expect(broken).toMatchObject({ isError: true, value: { error: { code: "HANDLER_ERROR" } } });
  expect(JSON.stringify(broken)).not.toContain("inner detail");
});

test("a schema of another library describes a tool, and the rate limit is enforced", async () => {
  const client = await connect(bob.token);
  const tool = (await client.listTools()).tools.find(({ name }) => name === "tags_find");
  expect(tool?.inputSchema).toEqual({
    type: "object",
    properties: { tag: { type: "string", minLength: 2 } },
    required: ["tag"],
  });
  expect(await call(client, "tags_find", { tag: "ab" })).toEqual({ isError: false, value: ["ab"] });
  expect(await call(client, "tags_find", { tag: "a" })).toMatchObject({
    isError: true,
    value: { error: { code: "INVALID_ARGS" } },
  });
  expect(await call(client, "tags_find", { tag: "ab" })).toMatchObject({
    isError: true,
    value: { error: { code: "RATE_LIMITED" } },
  });
});

test("requests without a user's token, and from other sites, are rejected", async () => {
  await expect(connect(null)).rejects.toThrow();
  await expect(connect("wrong")).rejects.toThrow();
  await expect(connect(ADMIN_TOKEN)).rejects.toThrow();
  const post = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${server.url}/mcp`, {
      method: "POST",
      headers: {
        Accept: "application/json, text/event-stream",
        "Content-Type": "application/json",
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
    });
  const bearer = { Authorization: `Bearer ${ann.token}` };
  const list = await ann.request("POST", "/mcp", [{ jsonrpc: "2.0", id: 1, method: "ping" }]);
  expect(list).toMatchObject({ status: 400, body: { error: { code: "INVALID_DATA" } } });
  expect((await post(bearer)).status).toBe(200);
  expect((await post({ ...bearer, Origin: "https://evil.example" })).status).toBe(403);
  expect((await post({ Cookie: `pylon_session=${ann.token}` })).status).toBe(401);
  expect((await fetch(`${server.url}/mcp`, { headers: bearer })).status).toBe(405);
});

test("an app without the plugin has no /mcp path", async () => {
  const plain = await startServer(appOf(manifest({ name: "nothing", hooks: {} }), functions));
  expect((await fetch(`${plain.url}/mcp`, { method: "POST", body: "{}" })).status).toBe(404);
  await plain.stop();
});

test("unknown names and internal functions can't be declared as tools", async () => {
  const start = (plugin: Plugin): Promise<string> =>
    startServer(appOf(manifest(plugin), functions)).then(
      async (started) => {
        await started.stop();
        return "";
      },
      (error: unknown) => String(error),
    );
  const description = "d";
  expect(await start(mcp({ functions: { "notes.renam": { description } } }))).toContain(
    'Did you mean "notes.rename"?',
  );
  expect(await start(mcp({ functions: { hidden: { description } } }))).toContain(
    "which is internal",
  );
  const both = { "tags.find": { description }, tags_find: { description } };
  expect(await start(mcp({ functions: both }))).toContain("both become the tool tags_find");
  expect(await start(mcp({ entities: { Nots: ["read"] } }))).toContain('Did you mean "Note"?');
  expect(await start({ name: "mcp", config: { entities: { Note: ["write"] } } })).toContain(
    "must have a list of read, insert, update, delete",
  );
  expect(() => mcp(Object({ entites: {} }))).toThrow('Did you mean "entities"?');
  expect(() => mcp(Object({ functions: { breaks: {} } }))).toThrow("needs a description");
});
