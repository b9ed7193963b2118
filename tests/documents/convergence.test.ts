import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { mutation, v } from "@pylonsync/functions";
import fc from "fast-check";
import { TestClient, until } from "../support/client.ts";
import { Editor } from "../support/document-client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

// Whatever several editors, patches and functions do at the same time, on whichever replica: in the
// end all documents have the same text, and the column contains it.

const manifest = buildManifest({
  name: "notes",
  version: "1.0.0",
  entities: [entity("Note", { body: field.richtext() })],
  policies: [policy({ name: "notes", entity: "Note", allow: "auth.userId != null" })],
});
const append = mutation({
  args: { id: v.string(), text: v.string() },
  handler: async (ctx, { id, text }) => {
    const row = await ctx.db.get("Note", id);
    await ctx.db.update("Note", id, { body: `${String(row?.["body"])}${text}` });
  },
});
const app = appOf(manifest, { append });

const EDITORS = 4;

/** What one editor does in a round, or someone else with the row. */
type Step =
  | { readonly kind: "insert"; readonly at: number; readonly text: string }
  | { readonly kind: "delete"; readonly at: number; readonly count: number }
  | { readonly kind: "push" }
  | { readonly kind: "offline" }
  | { readonly kind: "online" }
  | { readonly kind: "append"; readonly text: string }
  | { readonly kind: "patch"; readonly at: number; readonly text: string };

const words = fc.string({ unit: fc.constantFrom("a", "é", "𝒳", "\n", " "), maxLength: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("insert"), at: fc.nat(), text: words }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("delete"), at: fc.nat(), count: fc.nat(4) }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("push") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("offline") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("online") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("append"), text: words }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("patch"), at: fc.nat(), text: words }) },
);
const rounds = fc.array(fc.array(step, { minLength: EDITORS, maxLength: EDITORS }), {
  maxLength: 12,
});

/** Two replicas of one database if it is Postgres, otherwise one server. */
async function startReplicas(): Promise<TestServer[]> {
  if (process.env["PYLON_TEST_STORE"] !== "postgres") return [await startServer(app)];
  const env = { DATABASE_URL: await createDatabase(sharedPostgresUrl()) };
  const first = await startServer(app, env);
  return [first, await startServer(app, env)];
}

async function perform(editor: Editor, action: Step): Promise<void> {
  const text = editor.field("body");
  const size = Array.from(text.toString()).length;
  const { client, rowId } = editor;
  if (action.kind === "insert") insertAt(editor, action.at % (size + 1), action.text);
  else if (action.kind === "delete") deleteAt(editor, action.at % (size + 1), action.count);
  else if (action.kind === "offline") editor.goOffline();
  else if (action.kind === "online") editor.goOnline();
  else if (action.kind === "push") {
    if (editor.isOnline) expect((await editor.push()).body).toEqual({ ok: true });
  } else if (action.kind === "append") {
    const answer = await client.request("POST", "/api/fn/append", { id: rowId, text: action.text });
    expect(answer.status).toBe(200);
  } else {
    const body = await bodyOf(client, rowId);
    const patched = body.slice(0, action.at % (body.length + 1)).concat(action.text);
    const answer = await client.request("PATCH", `/api/entities/Note/${rowId}`, {
      body: patched.toWellFormed(),
    });
    expect(answer.status).toBe(200);
  }
}

/** Positions count characters, so that none is cut into halves. */
function insertAt(editor: Editor, at: number, inserted: string): void {
  const before = Array.from(editor.text("body")).slice(0, at).join("");
  if (inserted !== "") editor.field("body").insert(before.length, inserted);
}

function deleteAt(editor: Editor, at: number, count: number): void {
  const characters = Array.from(editor.text("body"));
  const before = characters.slice(0, at).join("");
  const removed = characters.slice(at, at + count).join("");
  if (removed !== "") editor.field("body").delete(before.length, removed.length);
}

async function bodyOf(client: TestClient, id: string): Promise<string> {
  return (await client.request("GET", `/api/entities/Note/${id}`)).body["body"] as string;
}

function fail(): never {
  throw new Error("There is no server.");
}

async function checkRun(servers: readonly TestServer[], all: readonly Step[][]): Promise<void> {
  const admins = servers.map(({ url }) => new TestClient(url, ADMIN_TOKEN));
  const admin = admins[0] ?? fail();
  const id = await admin.insert("Note", { body: "begin" });
  const editors = await Promise.all(
    [...Array(EDITORS).keys()].map((index) =>
      Editor.open(admins[index % admins.length] ?? admin, "Note", id),
    ),
  );
  for (const actions of all)
    await Promise.all(
      editors.map((editor, index) => perform(editor, actions[index] ?? { kind: "push" })),
    );
  for (const editor of editors) editor.goOnline();
  const answers = await Promise.all(editors.map((editor) => editor.push()));
  expect(answers.map(({ status }) => status)).toEqual(editors.map(() => 200));
  // The last write is not an editor's: it must reach them without a further push.
  await perform(editors[0] ?? fail(), { kind: "patch", at: 7, text: " end" });
  const body = await bodyOf(admin, id);
  await until(() => editors.every((editor) => editor.text("body") === body));
  const late = await Editor.open(admins.at(-1) ?? admin, "Note", id);
  await late.shows("body", body);
  expect(await Promise.all(admins.map((one) => bodyOf(one, id)))).toEqual(admins.map(() => body));
  for (const editor of [...editors, late]) editor.close();
}

test("editors, patches and functions converge to the text of the column", async () => {
  const servers = await startReplicas();
  try {
    await fc.assert(
      fc.asyncProperty(rounds, (all) => checkRun(servers, all)),
      { numRuns: 25, endOnFailure: true },
    );
  } finally {
    for (const server of servers) await server.stop();
  }
}, 120_000);

test("many editors of one text at the same time are all confirmed", async () => {
  const servers = await startReplicas();
  try {
    const admins = servers.map(({ url }) => new TestClient(url, ADMIN_TOKEN));
    const admin = admins[0] ?? fail();
    const id = await admin.insert("Note", { body: "" });
    const editors = await Promise.all(
      [...Array(12).keys()].map((index) =>
        Editor.open(admins[index % admins.length] ?? admin, "Note", id),
      ),
    );
    const letters = "abcdefghijkl";
    const type = async (editor: Editor, letter: string): Promise<number[]> => {
      const statuses: number[] = [];
      for (let count = 0; count < 8; count += 1) {
        editor.field("body").insert(editor.field("body").length, letter);
        statuses.push((await editor.push()).status);
      }
      return statuses;
    };
    const answers = await Promise.all(editors.map((one, at) => type(one, letters[at] ?? "?")));
    expect(answers.flat().filter((status) => status !== 200)).toEqual([]);
    const body = await bodyOf(admin, id);
    expect(Array.from(body).toSorted().join("")).toBe(
      Array.from(letters, (letter) => letter.repeat(8)).join(""),
    );
    await until(() => editors.every((editor) => editor.text("body") === body));
    for (const editor of editors) editor.close();
  } finally {
    for (const server of servers) await server.stop();
  }
}, 60_000);
