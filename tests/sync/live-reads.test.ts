import {
  LIVE_AGGREGATE,
  LIVE_SEARCH,
  MAX_SUBSCRIPTION_SEARCHES,
  MAX_SUBSCRIPTION_TERMS,
} from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { stillClock } from "../support/still-clock.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const manifest = buildManifest({
  name: "live-reads",
  version: "1.0.0",
  entities: [
    entity(
      "Post",
      { title: field.string(), at: field.datetime() },
      { search: { fields: ["title"] } },
    ),
    entity("Member", { teamId: field.string().index(), userId: field.string() }),
    entity("Team", { name: field.string() }),
    entity(
      "Task",
      { text: field.string(), teamId: field.string() },
      { relations: [{ name: "team", target: "Team", field: "teamId" }] },
    ),
  ],
  policies: [
    policy({ name: "published", entity: "Post", allow: "data.at <= now()" }),
    policy({ name: "members", entity: "Member", allow: "true" }),
    policy({
      name: "teams",
      entity: "Team",
      allow: "exists(Member, teamId == data.id && userId == auth.userId)",
    }),
    policy({ name: "tasks", entity: "Task", allow: "true" }),
  ],
});

let server: TestServer;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(appOf(manifest));
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

test("rows that become readable by the time are in the results when they are written", async () => {
  const socket = await QuerySocket.open(await TestClient.guest(server.url));
  const count = socket.call(LIVE_AGGREGATE, { entity: "Post", spec: { count: true } });
  const found = socket.call(LIVE_SEARCH, { entity: "Post", spec: { query: "news" } });
  await socket.told(count, 1);
  await socket.told(found, 1);
  const id = await admin.insert("Post", { title: "news", at: new Date().toISOString() });
  expect((await socket.told(count, 2)).at(-1)).toEqual({ rows: [{ count: 1 }] });
  expect((await socket.told(found, 2)).at(-1)).toMatchObject({ total: 1 });
  await admin.request("PATCH", `/api/entities/Post/${id}`, { at: "2999-01-01T00:00:00Z" });
  expect((await socket.told(count, 3)).at(-1)).toEqual({ rows: [{ count: 0 }] });
  socket.socket.close();
});

test("a new subscription is told what is readable now, whatever others were told", async () => {
  const clock = stillClock();
  const own = await startServer(appOf(manifest), {}, clock.platform);
  try {
    const at = new Date(clock.now() + 60_000).toISOString();
    await new TestClient(own.url, ADMIN_TOKEN).insert("Post", { title: "soon", at });
    const guest = await TestClient.guest(own.url);
    const [none, one] = [0, 1].map((count) => ({ rows: [{ count }] }));
    const early = await QuerySocket.open(guest);
    const first = early.call(LIVE_AGGREGATE, { entity: "Post", spec: { count: true } });
    expect(await early.told(first, 1)).toEqual([none]);
    clock.later(60);
    const late = await QuerySocket.open(guest);
    const second = late.call(LIVE_AGGREGATE, { entity: "Post", spec: { count: true } });
    expect(await late.told(second, 1)).toEqual([one]);
    expect(await early.told(first, 2)).toEqual([none, one]);
    for (const { socket } of [early, late]) socket.close();
  } finally {
    await own.stop();
  }
});

test("a group's related row disappears when the caller may no longer read it", async () => {
  const ann = await TestClient.guest(server.url);
  const socket = await QuerySocket.open(ann);
  await admin.insert("Team", { id: "t1", name: "Secret" });
  await admin.insert("Task", { text: "x", teamId: "t1" });
  const spec = { count: true, groupBy: ["team.name"] };
  const id = socket.call(LIVE_AGGREGATE, { entity: "Task", spec });
  expect(await socket.told(id, 1)).toEqual([{ rows: [{ "team.name": null, count: 1 }] }]);
  const member = await admin.insert("Member", { teamId: "t1", userId: ann.userId });
  expect((await socket.told(id, 2)).at(-1)).toEqual({
    rows: [{ "team.name": "Secret", count: 1 }],
  });
  await admin.request("DELETE", `/api/entities/Member/${member}`);
  expect((await socket.told(id, 3)).at(-1)).toEqual({ rows: [{ "team.name": null, count: 1 }] });
  socket.socket.close();
});

test("T17: what the live reads of a connection search is limited", async () => {
  const socket = await QuerySocket.open(await TestClient.guest(server.url));
  const searches = 16;
  const asked = Math.floor(MAX_SUBSCRIPTION_SEARCHES / searches) + 1;
  for (let n = 1; n <= asked; n += 1) {
    const $or = Array.from({ length: searches }, (_, i) => ({ title: { $ilike: `${n} ${i}` } }));
    const args =
      n % 2 === 0
        ? { entity: "Post", spec: { count: true, where: { $or } } }
        : { entity: "Post", spec: { query: "x", filters: { $or } } };
    socket.call(n % 2 === 0 ? LIVE_AGGREGATE : LIVE_SEARCH, args);
    await until(() => socket.all("joined").length + socket.all("error").length === n);
  }
  expect(socket.all("error")).toMatchObject([{ code: "SUBSCRIPTION_LIMIT_REACHED" }]);
  socket.socket.close();
});

test("T17: the conditions of a live read are limited", async () => {
  const socket = await QuerySocket.open(await TestClient.guest(server.url));
  const asked = [MAX_SUBSCRIPTION_TERMS, MAX_SUBSCRIPTION_TERMS + 1].map((length) => {
    const $or = Array.from({ length }, (_, n) => ({ title: `${n}` }));
    return socket.call(LIVE_AGGREGATE, { entity: "Post", spec: { count: true, where: { $or } } });
  });
  await until(() => socket.all("error").length > 0);
  expect(socket.all("error")).toMatchObject([{ id: asked[1], code: "SUBSCRIPTION_LIMIT_REACHED" }]);
  expect(socket.all("joined").map(({ id }) => id)).toEqual(asked.slice(0, 1));
  socket.socket.close();
});
