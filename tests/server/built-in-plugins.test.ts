import { afterAll, describe, expect, test } from "bun:test";
import { mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy, type Plugin } from "@pylonsync/sdk";
import {
  auditLog,
  cascade,
  computationsFor,
  computed,
  featureFlags,
  isFlagOn,
  rateLimit,
  slugify,
  slugOf,
  softDelete,
  tenantScope,
  timestamps,
  validation,
  versioning,
} from "@pylonsync/sdk/plugins";
import fc from "fast-check";
import { TestClient, until, type Answer } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { stillClock } from "../support/still-clock.ts";

type Row = Readonly<Record<string, unknown>> & { readonly id: string };

const servers: TestServer[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

const note = () =>
  entity("Note", {
    title: field.string(),
    secret: field.string().hidden().optional(),
    ownerId: field.string().owner().optional(),
  });
const ITEM_ENTITIES = () => [
  note(),
  entity("Remark", { noteId: field.id("Note").optional(), text: field.string().default("r") }),
];

/** A server with one plugin, a user and the admin. */
async function open(plugin: Plugin, entities = ITEM_ENTITIES(), platform = {}) {
  const server = await startServer(
    appOf(
      buildManifest({
        name: "built-in",
        version: "1.0.0",
        entities,
        policies: entities.map(({ name }) =>
          policy({ name, entity: name, allow: "auth.userId != null" }),
        ),
        plugins: [plugin],
      }),
      {
        write: mutation({
          args: {
            op: v.string(),
            name: v.string(),
            id: v.optional(v.string()),
            data: v.optional(v.any()),
          },
          handler: ({ db }, { op, name, id = "", data }) => {
            if (op === "insert") return db.insert(name as never, data as never);
            if (op === "delete") return db.delete(name as never, id);
            return db.update(name as never, id, data as never);
          },
        }),
      },
    ),
    {},
    platform,
  );
  servers.push(server);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const all = async (name: string, where: object = {}): Promise<Row[]> => {
    const { body } = await admin.request("POST", "/api/query", { [name]: { where } });
    return body[name] as Row[];
  };
  return { server, admin, all, user: await TestClient.guest(server.url) };
}

const get = (client: TestClient, name: string, id: string): Promise<Answer> =>
  client.request("GET", `/api/entities/${name}/${id}`);
const patch = (client: TestClient, name: string, id: string, data: object): Promise<Answer> =>
  client.request("PATCH", `/api/entities/${name}/${id}`, data);
const remove = (client: TestClient, name: string, id: string): Promise<Answer> =>
  client.request("DELETE", `/api/entities/${name}/${id}`);
const push = (client: TestClient, change: object): Promise<Answer> =>
  client.request("POST", "/api/sync/push", { results: true, changes: [change] });
const call = (client: TestClient, args: object): Promise<Answer> =>
  client.request("POST", "/api/fn/write", args);

describe("soft_delete", () => {
  test("hides a deleted row from users on every path, keeps it, and can restore it", async () => {
    const { user, admin, all } = await open(softDelete({ entities: ["Note"] }));
    const live = await user.live(0).ready();
    const [byHttp, byPush, byFunction] = await Promise.all(
      ["a", "b", "c"].map((title) => user.insert("Note", { title })),
    );
    await live.heard(3);
    await remove(user, "Note", String(byHttp));
    await push(user, { entity: "Note", row_id: byPush, kind: "delete" });
    await call(user, { op: "delete", name: "Note", id: byFunction });
    await until(() => live.events.filter(({ kind }) => kind === "delete").length === 3);
    for (const id of [byHttp, byPush, byFunction]) {
      expect((await get(user, "Note", String(id))).status).toBe(404);
      expect((await patch(user, "Note", String(id), { title: "x" })).status).toBe(404);
    }
    expect((await user.request("GET", "/api/entities/Note")).body["data"]).toEqual([]);
    expect(await all("Note", { deletedAt: { $ne: null } })).toHaveLength(3);
    await call(user, { op: "update", name: "Note", id: byHttp, data: { deletedAt: null } });
    expect((await get(user, "Note", String(byHttp))).status).toBe(200);
    await until(() => live.events.length === 7);
    // Deleting a row that is already marked deletes it permanently.
    await remove(admin, "Note", String(byPush));
    expect(await all("Note")).toHaveLength(2);
    live.close();
  });

  test("deletes marked rows permanently after purgeAfterDays", async () => {
    const clock = stillClock();
    const { user, admin, all } = await open(
      softDelete({ entities: ["Note"], purgeAfterDays: 2 }),
      ITEM_ENTITIES(),
      clock.platform,
    );
    const [old, young] = [
      await user.insert("Note", { title: "o" }),
      await user.insert("Note", { title: "y" }),
    ];
    await user.insert("Note", { title: "kept" });
    await remove(user, "Note", old);
    clock.later(2 * 86_400);
    await remove(user, "Note", young);
    clock.later(1);
    await admin.request("POST", "/api/scheduler/trigger/soft_delete.purge");
    await until(async () => (await all("Note")).length === 2);
    expect((await all("Note")).map(({ title }) => title)).toEqual(["y", "kept"]);
  });
});

test("audit_log records who changed what, on every path, without hidden values", async () => {
  const { user, admin, all } = await open(auditLog({ except: ["ownerId"] }));
  const id = await user.insert("Note", { title: "a" });
  await admin.request("PATCH", `/api/entities/Note/${id}`, { secret: "s3cret" });
  await call(user, { op: "update", name: "Note", id, data: { title: "b" } });
  await push(user, { entity: "Note", row_id: id, kind: "delete" });
  const entries = (await all("AuditLog")).map(({ operation, userId, isAdmin, before, after }) => [
    operation,
    isAdmin === true ? "admin" : userId,
    before,
    after,
  ]);
  expect(entries).toEqual([
    ["insert", user.userId, null, { title: "a" }],
    ["update", "admin", {}, {}],
    ["update", user.userId, { title: "a" }, { title: "b" }],
    ["delete", user.userId, { title: "b" }, null],
  ]);
  expect((await user.request("GET", "/api/entities/AuditLog")).body["data"]).toEqual([]);
  expect((await user.request("POST", "/api/entities/AuditLog", {})).status).toBeGreaterThan(399);
  expect(JSON.stringify(await all("AuditLog"))).not.toContain("s3cret");
});

test("audit_log records nothing of a write that is rolled back", async () => {
  const { user, all } = await open(auditLog());
  const answer = await user.request("POST", "/api/transact", [
    { op: "insert", entity: "Note", data: { title: "a" } },
    { op: "insert", entity: "Note", data: {} },
  ]);
  expect(answer.status).toBe(400);
  expect(await all("AuditLog")).toEqual([]);
});

test("timestamps are added to all entities, and callers can't set them", async () => {
  const { user, all } = await open(timestamps());
  const id = await user.insert("Note", { title: "a" });
  const [before] = await all("Note");
  await patch(user, "Note", id, { title: "b" });
  const [after] = await all("Note");
  expect(after?.["createdAt"]).toBe(before?.["createdAt"]);
  expect(String(after?.["updatedAt"]) > String(before?.["updatedAt"])).toBe(true);
  expect((await patch(user, "Note", id, { createdAt: "2020-01-01T00:00:00Z" })).status).toBe(400);
});

describe("slugify", () => {
  test("gives each row a unique slug, by HTTP, push and function, and keeps it", async () => {
    const { user, all } = await open(slugify({ entities: { Note: { from: "title" } } }));
    const first = await user.insert("Note", { title: "Héllo, you!" });
    await push(user, {
      entity: "Note",
      row_id: "n2",
      kind: "insert",
      data: { title: "hello you" },
    });
    await call(user, { op: "insert", name: "Note", data: { title: "Hello -- You" } });
    await user.insert("Note", { title: "!", slug: "mine" });
    await user.insert("Note", { title: "?" });
    await patch(user, "Note", first, { title: "Other" });
    expect(
      (await all("Note")).map(({ slug }) => String(slug)).toSorted((a, b) => (a < b ? -1 : 1)),
    ).toEqual(["hello-you", "hello-you-2", "hello-you-3", "mine", "untitled"]);
  });

  test("a slug has only letters, digits and single hyphens, and is its own slug", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 30 }), (text, max) => {
        const slug = slugOf(text, max);
        expect(slug).toMatch(/^([\p{L}\p{N}]+(-[\p{L}\p{N}]+)*)?$/u);
        expect(Array.from(slug).length).toBeLessThanOrEqual(max);
        expect(slugOf(slug, max)).toBe(slug);
      }),
    );
  });
});

test("versioning keeps the latest versions of each row, also of deleted rows", async () => {
  const { user, all } = await open(versioning({ entities: ["Note"], keep: 2 }));
  const id = await user.insert("Note", { title: "1" });
  await user.insert("Remark", {});
  await patch(user, "Note", id, { title: "2" });
  await push(user, { entity: "Note", row_id: id, kind: "update", data: { title: "3" } });
  await call(user, { op: "update", name: "Note", id, data: { title: "4" } });
  await remove(user, "Note", id);
  const versions = (await all("RowVersion")).map(({ entity: of, rowId, version, data, userId }) => [
    of,
    rowId,
    version,
    (data as Row)["title"],
    userId,
  ]);
  expect(versions).toEqual([
    ["Note", id, 3, "3", user.userId],
    ["Note", id, 4, "4", user.userId],
  ]);
  expect((await user.request("GET", "/api/entities/RowVersion")).body["data"]).toEqual([]);
});

describe("tenant_scope", () => {
  const entities = (): ReturnType<typeof ITEM_ENTITIES> =>
    [
      entity("Project", { name: field.string(), tenantId: field.string() }),
      entity("Task", { projectId: field.id("Project").optional(), name: field.string() }),
      entity("User", { email: field.string().unique(), passwordHash: field.string().hidden() }),
    ] as never;
  let count = 0;

  async function member(url: string): Promise<TestClient & { tenantId?: string }> {
    const account = { email: `m${(count += 1)}@example.com`, password: "a long enough passw0rd" };
    const made = await new TestClient(url, null).request(
      "POST",
      "/api/auth/password/register",
      account,
    );
    const user = new TestClient(url, String(made.body["token"]), String(made.body["user_id"]));
    const { body } = await user.request("POST", "/api/auth/orgs", { name: "Org" });
    const selected = await user.request("POST", "/api/auth/select-org", { org_id: body["id"] });
    if (selected.status !== 200) throw new Error(selected.text);
    return Object.assign(user, { tenantId: String(body["id"]) });
  }

  test("stamps rows, and separates the tenants on every path", async () => {
    const { server, user, admin, all } = await open(
      tenantScope({ entities: ["Project", "Task"] }),
      entities(),
    );
    const [ann, bob] = [await member(server.url), await member(server.url)];
    const [live, other] = [await ann.live(0).ready(), await bob.live(0).ready()];
    const project = await ann.insert("Project", { name: "p" });
    await push(ann, {
      entity: "Task",
      row_id: "t1",
      kind: "insert",
      data: { name: "t", projectId: project },
    });
    await call(ann, { op: "insert", name: "Task", data: { name: "f" } });
    expect((await all("Task")).map(({ tenantId }) => tenantId)).toEqual([
      ann.tenantId,
      ann.tenantId,
    ]);
    await live.heard(3);

    expect((await get(bob, "Project", project)).status).toBe(404);
    expect((await patch(bob, "Project", project, { name: "x" })).status).toBe(404);
    expect((await remove(bob, "Project", project)).status).toBe(404);
    expect((await bob.request("GET", "/api/entities/Task")).body["data"]).toEqual([]);
    const refused = async (answer: Promise<Answer>): Promise<unknown> =>
      ((await answer).body["error"] as Row | undefined)?.["code"];
    const foreign = { name: "x", tenantId: ann.tenantId };
    expect(await refused(bob.request("POST", "/api/entities/Project", foreign))).toBe("FORBIDDEN");
    expect(
      await refused(bob.request("POST", "/api/entities/Task", { name: "x", projectId: project })),
    ).toBe("REFERENCE_NOT_FOUND");
    const own = await bob.insert("Project", { name: "own" });
    expect(await refused(patch(bob, "Project", own, { tenantId: ann.tenantId }))).toBe("FORBIDDEN");
    expect(await refused(user.request("POST", "/api/entities/Project", { name: "x" }))).toBe(
      "FORBIDDEN",
    );
    expect((await user.request("GET", "/api/entities/Project")).body["data"]).toEqual([]);
    // The admin, and functions that name a tenant, may write for any tenant.
    await admin.insert("Project", { name: "moved", tenantId: ann.tenantId });
    await live.heard(4);
    await other.heard(1);
    expect(other.texts.join()).not.toContain(project);
    live.close();
    other.close();
  });

  test("needs an entity with the field, or names of existing entities", () => {
    const build = (plugin: Plugin) => () =>
      buildManifest({ name: "a", version: "1.0.0", entities: [note()], plugins: [plugin] });
    expect(build(tenantScope())).toThrow("found no entity with a field tenantId");
    expect(build(tenantScope({ entities: ["Nots"] }))).toThrow('Did you mean "Note"?');
  });
});

test("cascade deletes the rows that refer to a deleted row, for live clients too", async () => {
  const { user, all } = await open(cascade({ "Remark.noteId": "cascade" }));
  const id = await user.insert("Note", { title: "n" });
  await user.insert("Remark", { noteId: id });
  await user.insert("Remark", {});
  const live = await user.live(0).ready();
  await remove(user, "Note", id);
  expect(await all("Remark")).toHaveLength(1);
  await until(() => live.events.filter(({ kind }) => kind === "delete").length === 2);
  live.close();
});

test("computed fields have the values of their functions, whatever the caller sends", async () => {
  const fields = { price: field.int(), count: field.int(), total: field.int().optional() };
  const Line = entity("Line", fields);
  const { user, all } = await open(
    computed(computationsFor(Line, { total: ({ price = 0, count = 0 }) => price * count })),
    [Line] as never,
  );
  const id = await user.insert("Line", { price: 2, count: 3, total: 99 });
  expect(await all("Line")).toMatchObject([{ total: 6 }]);
  await push(user, { entity: "Line", row_id: id, kind: "update", data: { count: 5 } });
  expect(await all("Line")).toMatchObject([{ total: 10 }]);
  await call(user, { op: "update", name: "Line", id, data: { price: 1, total: 7 } });
  expect(await all("Line")).toMatchObject([{ total: 5 }]);
});

test("validation rejects with its message and the field, on every path", async () => {
  const { user, all } = await open(
    validation({
      Note: {
        title: (value) => (String(value).length < 3 ? "A title has three letters." : undefined),
      },
    }),
  );
  const error = { code: "INVALID_DATA", message: "A title has three letters.", field: "title" };
  expect((await user.request("POST", "/api/entities/Note", { title: "ab" })).body).toMatchObject({
    error,
  });
  const id = await user.insert("Note", { title: "abc" });
  expect((await patch(user, "Note", id, { title: "a" })).body).toMatchObject({ error });
  expect(
    (await call(user, { op: "update", name: "Note", id, data: { title: "a" } })).body,
  ).toMatchObject({ error });
  const pushed = await push(user, {
    entity: "Note",
    row_id: "n",
    kind: "insert",
    data: { title: "a" },
  });
  expect(pushed.body["results"]).toMatchObject([{ status: "refused", error }]);
  expect(await all("Note")).toMatchObject([{ title: "abc" }]);
});

describe("feature_flags", () => {
  test("returns to each caller which flags are on, and only admins can write them", async () => {
    const { user, admin, server } = await open(featureFlags());
    await admin.insert("FeatureFlag", { name: "on", enabled: true });
    await admin.insert("FeatureFlag", { name: "off" });
    await admin.insert("FeatureFlag", {
      name: "mine",
      enabled: true,
      percent: 0,
      userIds: [user.userId],
    });
    const flags = async (client: TestClient): Promise<unknown> =>
      (await client.request("POST", "/api/fn/feature_flags.all", {})).body;
    expect(await flags(user)).toEqual({ on: true, off: false, mine: true });
    expect(await flags(await TestClient.guest(server.url))).toEqual({
      on: true,
      off: false,
      mine: false,
    });
    expect((await user.request("POST", "/api/entities/FeatureFlag", { name: "x" })).status).toBe(
      403,
    );
  });

  test("is on for about its percent of users, and stays on when the percent grows", () => {
    const flag = (percent: number) => ({ name: "f", enabled: true, percent });
    const ids = Array.from({ length: 2000 }, (_, n) => `user-${n}`);
    const on = (percent: number): string[] =>
      ids.filter((userId) => isFlagOn(flag(percent), { userId, tenantId: null }));
    const [few, many] = [new Set(on(20)), new Set(on(60))];
    expect(few.size / ids.length).toBeCloseTo(0.2, 1);
    expect(many.size / ids.length).toBeCloseTo(0.6, 1);
    expect([...few].every((id) => many.has(id))).toBe(true);
    expect(isFlagOn(flag(99), { userId: null, tenantId: null })).toBe(false);
  });
});

test("rate_limit counts a user's writes on all paths together, within a window", async () => {
  const clock = stillClock();
  const { user, admin, server } = await open(
    rateLimit({ entities: { Note: { max: 3, windowSecs: 60 } } }),
    ITEM_ENTITIES(),
    clock.platform,
  );
  const id = await user.insert("Note", { title: "1" });
  await push(user, { entity: "Note", row_id: id, kind: "update", data: { title: "2" } });
  expect((await call(user, { op: "update", name: "Note", id, data: { title: "3" } })).status).toBe(
    200,
  );
  clock.later(30);
  expect(await patch(user, "Note", id, { title: "4" })).toMatchObject({
    status: 429,
    body: { error: { code: "RATE_LIMITED", retry_after_secs: 30 } },
  });
  await user.insert("Remark", {});
  await admin.insert("Note", { title: "admin" });
  await (await TestClient.guest(server.url)).insert("Note", { title: "other" });
  clock.later(30);
  await user.insert("Note", { title: "5" });
});

describe("concurrent writes", () => {
  const many = <T>(write: (n: number) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: 12 }, (_, n) => write(n)));

  test("are all counted by rate_limit", async () => {
    const { user, all } = await open(
      rateLimit({ entities: { Note: { max: 5, windowSecs: 3600 } } }),
    );
    const statuses = await many(
      async (n) => (await user.request("POST", "/api/entities/Note", { title: String(n) })).status,
    );
    expect(statuses.toSorted((a, b) => a - b)).toEqual([
      ...Array.from({ length: 5 }, () => 201),
      ...Array.from({ length: 7 }, () => 429),
    ]);
    expect(await all("Note")).toHaveLength(5);
    expect(await all("RateLimitWindow")).toMatchObject([{ count: 5 }]);
  });

  test("get distinct slugs", async () => {
    const { user, all } = await open(slugify({ entities: { Note: { from: "title" } } }));
    await many(() => user.insert("Note", { title: "Same" }));
    expect(new Set((await all("Note")).map(({ slug }) => slug)).size).toBe(12);
  });

  test("of one row get consecutive versions", async () => {
    const { user, all } = await open(versioning({ entities: ["Note"] }));
    const id = await user.insert("Note", { title: "start" });
    await many((n) => patch(user, "Note", id, { title: String(n) }));
    const versions = (await all("RowVersion")).map(({ version }) => Number(version));
    expect(versions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => n + 1));
  });
});

test("an error about an unknown option or name suggests the right one", () => {
  const make: (build: (options: never) => Plugin, options: unknown) => () => Plugin =
    (build, options) => () =>
      build(options as never);
  expect(make(softDelete, { entites: ["Note"] })).toThrow('Did you mean "entities"?');
  expect(make(softDelete, {})).toThrow("entities of soft_delete");
  expect(make(slugify, { entities: { Note: { form: "title" } } })).toThrow('Did you mean "from"?');
  expect(make(rateLimit, { entities: { Note: { max: 0, windowSecs: 1 } } })).toThrow("from 1");
  expect(make(cascade, { Remark: "cascade" })).toThrow('write "Entity.field"');
  expect(make(cascade, { "Remark.noteId": "delete" })).toThrow("use cascade, setNull, restrict");
  expect(make(computed, { Note: { title: 1 } })).toThrow("must be a function");
  const build = (plugin: Plugin) => () =>
    buildManifest({ name: "a", version: "1.0.0", entities: [note()], plugins: [plugin] });
  expect(build(validation({ Note: { titel: () => null } }))).toThrow('Did you mean "title"?');
  expect(build(versioning({ entities: ["Nots"] }))).toThrow('Did you mean "Note"?');
});
