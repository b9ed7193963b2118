// Claims: what an app knows about a user besides roles, used in policies and functions.
import { mutation, query, v } from "@pylonsync/functions";
import { auth, buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "claims",
    version: "1.0.0",
    entities: [
      entity("User", { email: field.string().unique() }),
      entity("Report", { team: field.string(), level: field.int() }),
    ],
    policies: [
      policy({
        name: "own teams",
        entity: "Report",
        allowRead: "data.team in auth.claims.teams && data.level <= auth.claims.level",
        allowWrite: 'auth.claims.plan == "pro"',
      }),
      policy({ name: "closed", entity: "User", allow: "false" }),
    ],
    auth: auth({
      hooks: { claims: ({ method }) => ({ claims: { plan: "pro", method } }) },
    }),
  }),
  {
    upgrade: mutation({
      args: { userId: v.string(), claims: v.any() },
      handler: async (ctx, { userId, claims }) => {
        const before = await ctx.claims.get(userId);
        await ctx.claims.set(userId, claims as Record<string, string>);
        return before;
      },
    }),
    mine: query({
      handler: async (ctx) => ({
        claims: ctx.auth.claims,
        reports: (await ctx.db.as(ctx.auth).list("Report")).map(({ id }) => id),
      }),
    }),
  },
);

let server: TestServer;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(app, { PYLON_JWT_SECRET: "a-secret-of-more-than-32-characters" });
  admin = new TestClient(server.url, ADMIN_TOKEN);
  await admin.insert("Report", { id: "a1", team: "a", level: 1 });
  await admin.insert("Report", { id: "b5", team: "b", level: 5 });
});
afterAll(() => server.stop());

const set = (userId: string, claims: unknown) =>
  admin.request("PUT", `/api/admin/users/${userId}/claims`, { claims });
const idsOf = async (client: TestClient): Promise<unknown> =>
  ((await client.request("GET", "/api/entities/Report")).body["data"] as { id: string }[]).map(
    ({ id }) => id,
  );

async function signUp(email: string): Promise<TestClient> {
  const given = { email, password: "a long enough password" };
  const { body } = await new TestClient(server.url, null).request(
    "POST",
    "/api/auth/password/register",
    given,
  );
  return new TestClient(server.url, body["token"] as string, body["user_id"] as string);
}

test("an admin's claims apply immediately, in sessions, keys, JWTs and functions", async () => {
  const ann = await signUp("key@example.com");
  const made = await ann.request("POST", "/api/auth/api-keys", { name: "ci" });
  const jwt = (await ann.request("POST", "/api/auth/jwt", {})).body["token"] as string;
  const callers = [ann, new TestClient(server.url, jwt)];
  callers.push(new TestClient(server.url, made.body["key"] as string));
  for (const caller of callers) expect(await idsOf(caller)).toEqual([]);
  expect((await set(ann.userId, { teams: ["a"], level: 5 })).body).toEqual({
    claims: { teams: ["a"], level: 5 },
  });
  for (const caller of callers) expect(await idsOf(caller)).toEqual(["a1"]);
  expect((await ann.request("GET", "/api/auth/me")).body["claims"]).toEqual({
    plan: "pro",
    method: "password",
    teams: ["a"],
    level: 5,
  });
  const { body } = await ann.request("POST", "/api/fn/mine", {});
  expect(JSON.stringify(body)).toContain('"reports":["a1"]');
  await set(ann.userId, {});
  for (const caller of callers) expect(await idsOf(caller)).toEqual([]);
});

test("a function that an operator runs as a user has the user's claims", async () => {
  await set("run-as", { teams: ["a"], level: 1 });
  const { body } = await admin.request("POST", "/api/run", { function: "mine", as: "run-as" });
  expect(body).toEqual({ claims: { teams: ["a"], level: 1 }, reports: ["a1"] });
});

test("T14: live connections are rechecked when claims change, by a function too", async () => {
  const ann = await TestClient.guest(server.url);
  const bob = await TestClient.guest(server.url);
  await set(ann.userId, { teams: ["a", "b"], level: 5 });
  const [socket, other] = [await QuerySocket.open(ann), await QuerySocket.open(bob)];
  await socket.subscribe({ entity: "Report" });
  expect(socket.texts).toContain('"id":"b5"');
  const old = await ann.live(0).ready();
  const { body } = await ann.request("POST", "/api/fn/upgrade", {
    userId: ann.userId,
    claims: { teams: ["a"], level: 5 },
  });
  expect(JSON.stringify(body)).toContain('"level":5');
  await until(() => socket.closed !== null && old.closed !== null);
  expect(other.closed).toBeNull();
  const again = await QuerySocket.open(ann);
  await again.subscribe({ entity: "Report" });
  expect(again.texts).toContain('"id":"a1"');
  expect(again.texts).not.toContain('"id":"b5"');
  for (const one of [again, other]) one.socket.close();
});

test("a sign-in's claims apply to its session, and those of the user win", async () => {
  const ann = await signUp("ann@example.com");
  const me = async (): Promise<unknown> =>
    (await ann.request("GET", "/api/auth/me")).body["claims"];
  expect(await me()).toEqual({ plan: "pro", method: "password" });
  await ann.insert("Report", { team: "c", level: 1 });
  await set(ann.userId, { plan: "free" });
  expect(await me()).toEqual({ plan: "free", method: "password" });
  const { status } = await ann.request("POST", "/api/entities/Report", { team: "c", level: 1 });
  expect(status).toBe(403);
});

test("only an admin can set claims, and invalid ones are rejected", async () => {
  const ann = await TestClient.guest(server.url);
  const path = `/api/admin/users/${ann.userId}/claims`;
  expect((await ann.request("PUT", path, { claims: { plan: "pro" } })).status).toBe(403);
  const many = Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`c${n}`, 1]));
  for (const claims of [
    undefined,
    [],
    { "a b": 1 },
    { constructor_: {} },
    JSON.parse('{"__proto__": 1}') as unknown,
    { deep: [[1]] },
    { none: null },
    { long: "x".repeat(2048) },
    many,
  ]) {
    const { status, body } = await set(ann.userId, claims);
    expect([status, (body["error"] as { field: string }).field.split(".")[0]]).toEqual([
      400,
      "claims",
    ]);
  }
  expect((await admin.request("GET", path)).body).toEqual({ claims: {} });
});
