import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mutation, v } from "@pylonsync/functions";
import { getEngine, init, streamFn, uploadFile, uploadFileMultipart } from "@pylonsync/react";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type SyncEngine,
  type SyncEngineConfig,
} from "@pylonsync/sync";
import { TestClient, until } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// A page that is authenticated by a cookie alone, while another tab signs in as another user.

const app = appOf(
  buildManifest({
    name: "cookie-author",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string(), ownerId: field.string().owner() })],
    policies: [policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" })],
  }),
  {
    addNote: mutation({
      auth: "public",
      args: { text: v.string() },
      handler: async (ctx, { text }) => {
        await ctx.db.insert("Note", { text, ownerId: ctx.auth.userId ?? "nobody" });
        return ctx.auth.userId;
      },
    }),
  },
);

let server: TestServer;
let ann: TestClient;
let bob: TestClient;
/** The user of the browser's cookie. */
let holder: TestClient | null;
/** Called before each function call or upload. */
let onCall: () => void = () => undefined;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());
beforeEach(async () => {
  [ann, bob] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  holder = ann;
  onCall = () => undefined;
});

/** Requests with the cookie, as a browser sends them. */
async function fetchByCookie(url: string, init: RequestInit): Promise<Response> {
  if (/\/api\/(?:fn|files)\//.test(url)) onCall();
  const headers = new Headers(init.headers);
  if (holder !== null) headers.set("Cookie", `cookie-author_session=${holder.token}`);
  return systemPlatform.fetch(url, { ...init, headers });
}

const optionsOf = (): Omit<SyncEngineConfig, "baseUrl"> => ({
  credentials: "cookie",
  persist: false,
  storage: createWriteThroughStorage({}, () => undefined),
  platform: { fetch: fetchByCookie },
});

/** The engine of a page that shows the cookie's user. */
async function pageOf(user: TestClient | null): Promise<SyncEngine> {
  const engine = createSyncEngine(server.url, optionsOf());
  expect((await engine.session.refresh()).userId).toBe(user?.userId ?? null);
  return engine;
}

async function notesOf(client: TestClient): Promise<unknown[]> {
  const { body } = await client.request("GET", "/api/entities/Note");
  return (body["data"] as { readonly text: string }[]).map(({ text }) => text);
}

const OTHER = { code: "UNAUTHORIZED", status: 401, field: "user_id" };

test("a call is not made as the user who has signed in since, and the next one is", async () => {
  const page = await pageOf(ann);
  holder = bob;
  await expect(page.fn("addNote", { text: "by ann" })).rejects.toMatchObject(OTHER);
  await until(() => page.session.current.userId === bob.userId);
  expect(await page.fn("addNote", { text: "by bob" })).toBe(bob.userId);
  expect([await notesOf(ann), await notesOf(bob)]).toEqual([[], ["by bob"]]);
});

test("an anonymous call is not made as a user, nor a user's call anonymously", async () => {
  holder = null;
  const anonymous = await pageOf(null);
  expect(await anonymous.fn("addNote", { text: "by nobody" })).toBeNull();
  holder = ann;
  await expect(anonymous.fn("addNote", { text: "by nobody" })).rejects.toMatchObject(OTHER);
  const signedIn = await pageOf(ann);
  holder = null;
  await expect(signedIn.fn("addNote", { text: "by ann" })).rejects.toMatchObject(OTHER);
  expect(await notesOf(ann)).toEqual([]);
});

test("a call that is repeated after a loss is still that of its user", async () => {
  const page = await pageOf(ann);
  let calls = 0;
  onCall = () => {
    calls += 1;
    if (calls > 1) return;
    holder = bob;
    throw new TypeError("Failed to fetch");
  };
  await expect(page.fn("addNote", { text: "by ann" })).rejects.toMatchObject(OTHER);
  expect([calls, await notesOf(ann), await notesOf(bob)]).toEqual([2, [], []]);
});

test("a streamed call is not made as another user", async () => {
  init({ baseUrl: server.url, ...optionsOf() });
  const { session } = getEngine();
  await session.refresh();
  holder = bob;
  await expect(streamFn("addNote", { text: "by ann" }).next()).rejects.toMatchObject(OTHER);
  await until(() => session.current.userId === bob.userId);
  expect(await notesOf(bob)).toEqual([]);
  init();
});

test("after a sign-in that the app reports, calls are made as the new user", async () => {
  const page = await pageOf(ann);
  holder = bob;
  page.session.notifyChanged();
  expect(await page.fn("addNote", { text: "by bob" })).toBe(bob.userId);
});

test.each([["uploadFile"], ["uploadFileMultipart"]] as const)(
  "%s does not give a file to another user",
  async (name) => {
    const upload = name === "uploadFile" ? uploadFile : uploadFileMultipart;
    const sync = await pageOf(ann);
    const file = new File(["Buy milk"], "list.txt", { type: "text/plain" });
    const { id } = await upload(file, { sync });
    expect((await ann.request("DELETE", `/api/files/${id}`)).status).toBe(200);
    holder = bob;
    await expect(upload(file, { sync })).rejects.toMatchObject(OTHER);
    await until(() => sync.session.current.userId === bob.userId);
  },
);

test.each([
  ["/api/fn/addNote", { text: "named" }, {}],
  ["/api/files/upload", "text", { "Content-Type": "text/plain" }],
  ["/api/files/presign", { name: "a.txt", content_type: "text/plain", size: 3 }, {}],
  ["/api/files/tus", undefined, { "Tus-Resumable": "1.0.0", "Upload-Length": "3" }],
])("%s takes the name of its caller only, and none at all", async (path, body, headers) => {
  const statusFor = async (query: string): Promise<number> =>
    (await ann.request("POST", path + query, body, headers)).status;
  expect(await statusFor(`?user_id=${bob.userId}`)).toBe(401);
  expect(await statusFor("?user_id=")).toBe(401);
  for (const query of ["", `?user_id=${ann.userId}`])
    expect(await statusFor(query)).toBeOneOf([200, 201]);
});
