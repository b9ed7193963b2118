import { PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { user, openAppData, type AppData } from "../data/testing/app-data.ts";
import { createDbReader, createDbWriter, type DbScope, type LooseWriter } from "./db.ts";

const manifest = buildManifest({
  name: "db",
  version: "1.0.0",
  entities: [entity("Item", { n: field.int(), secret: field.string().optional() })],
});

/** With a policy: a note is its owner's, and an editor may read all. */
const notes = buildManifest({
  name: "notes",
  version: "1.0.0",
  entities: [
    entity("Note", { ownerId: field.string(), text: field.string(), pin: field.int().hidden() }),
  ],
  policies: [
    policy({
      name: "own",
      entity: "Note",
      allowRead: "auth.userId == data.ownerId || auth.hasRole('editor')",
      allowWrite: "auth.userId == data.ownerId",
    }),
  ],
});

const TRUSTED: DbScope = {
  caller: user("x"),
  policies: "bypassed",
  now: 0,
  monotonic: () => 0,
};

let app: AppData;
let withPolicy: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
  withPolicy = await openAppData(notes);
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await withPolicy[Symbol.asyncDispose]();
});

/** Runs a part of a mutation with its `ctx.db`. */
async function mutate<T>(work: (db: LooseWriter) => Promise<T>, on = app): Promise<T> {
  const { now, monotonic } = on.platform;
  const scope = { ...TRUSTED, caller: user("ann"), now: now(), monotonic };
  const { result } = await on.committer.commit(
    { caller: scope.caller, policies: "bypassed" },
    (writer) => work(createDbWriter(writer, on.model, scope)),
  );
  return result;
}

test("no policy applies to a function, and its reads see its own writes", async () => {
  await app.clear();
  const seen = await mutate(async (db) => {
    const id = await db.insert("Item", { n: 1, secret: "s" });
    await db.update("Item", id, { n: 2 });
    return [await db.get("Item", id), await db.count("Item"), await db.list("Item")];
  });
  const row = { id: expect.any(String), n: 2, secret: "s" };
  expect(seen).toEqual([row, 1, [row]]);
  const { monotonic } = app.platform;
  const db = createDbReader(app.store, app.model, { ...TRUSTED, caller: user("bob"), monotonic });
  expect(await db.query("Item", { n: 2 })).toEqual([row]);
});

test("an insert uses the id of the data, or creates one and returns it", async () => {
  await app.clear();
  expect(await mutate((db) => db.insert("Item", { id: "mine", n: 1 }))).toBe("mine");
  expect(await mutate((db) => db.insert("Item", { n: 1 }))).toMatch(/^[\da-f]{40}$/);
  const code = await mutate((db) => db.insert("Item", { id: "not an id", n: 1 })).then(
    () => null,
    (error: unknown) => (error instanceof PylonError ? error.code : error),
  );
  expect(code).toBe("INVALID_ID");
});

test("a function updates with operators, and upserts", async () => {
  await app.clear();
  const put = (db: LooseWriter) =>
    db.upsert("Item", "id", { id: "one", n: 1 }, { n: { $increment: 5 } });
  expect(await mutate(put)).toEqual({ id: "one", created: true });
  expect(await mutate(put)).toEqual({ id: "one", created: false });
  await mutate((db) => db.update("Item", "one", { n: { $increment: -1 } }));
  expect(await app.store.get("Item", "one")).toEqual({ id: "one", n: 5, secret: null });
});

test("a write with ifUnchanged fails if the row has other values, and its options are checked", async () => {
  await app.clear();
  await mutate((db) => db.insert("Item", { id: "one", n: 1 }));
  const codeOf = (ask: (db: LooseWriter) => Promise<unknown>): Promise<unknown> =>
    mutate(ask).catch((thrown: unknown) => Object(thrown).code);
  for (const write of [
    (db: LooseWriter, options: unknown) => db.update("Item", "one", { n: 2 }, options),
    (db: LooseWriter, options: unknown) => db.delete("Item", "one", options),
  ]) {
    expect(await codeOf((db) => write(db, { ifUnchanged: { n: 7 } }))).toBe("ROW_CHANGED");
    expect(await codeOf((db) => write(db, { ifUnchanged: {} }))).toBe("INVALID_DATA");
    expect(await codeOf((db) => write(db, { ifUnchanged: { n: undefined } }))).toBe("INVALID_DATA");
    expect(await codeOf((db) => write(db, { ifUnchangd: { n: 1 } }))).toBe("INVALID_DATA");
    expect(await codeOf((db) => write(db, { n: 1 }))).toBe("INVALID_DATA");
  }
  const expected = { id: "one", n: 1, secret: null };
  expect(await app.store.get("Item", "one")).toEqual(expected);
  const seen = { ifUnchanged: { n: 1, secret: null } };
  expect(await mutate((db) => db.update("Item", "one", { n: 2 }, seen))).toBe(true);
  expect(await mutate((db) => db.delete("Item", "one", { ifUnchanged: { n: 2 } }))).toBe(true);
});

test("an id that is not a string is rejected with its method and parameter", async () => {
  const notText = fc.constantFrom<unknown>(undefined, 7, {}, [], true, Symbol("id"));
  await fc.assert(
    fc.asyncProperty(notText, async (id) => {
      const calls: readonly [string, string, (db: LooseWriter) => Promise<unknown>][] = [
        ["get", "id", (db) => db.get("Item", id)],
        ["update", "id", (db) => db.update("Item", id, {})],
        ["delete", "id", (db) => db.delete("Item", id)],
        ["unlink", "id", (db) => db.unlink("Item", id, "owner")],
        ["link", "targetId", (db) => db.link("Item", "a", "owner", id)],
      ];
      for (const [method, place, ask] of calls) {
        const error = await mutate(ask).then(
          () => null,
          (thrown: unknown) => thrown,
        );
        expect(error).toMatchObject({ code: "INVALID_ID", field: place });
        expect(String(error)).toContain(`ctx.db.${method}("Item", ...)`);
      }
    }),
  );
  expect(await mutate((db) => db.get("Item", null))).toBeNull();
  expect(await mutate((db) => db.delete("Item", "none"))).toBe(false);
});

const note = (ownerId: string) => ({ ownerId, text: "t", pin: 1 });

test("as: reads use the user's permissions, and ctx.db stays trusted", async () => {
  await withPolicy.clear();
  const counts = await mutate(async (db) => {
    const [mine, theirs] = [
      await db.insert("Note", note("ann")),
      await db.insert("Note", note("bob")),
    ];
    const ann = db.as("ann");
    expect(await ann.get("Note", mine)).toEqual({ id: mine, ownerId: "ann", text: "t" });
    expect(await ann.get("Note", theirs)).toBeNull();
    expect(await ann.list("Note")).toHaveLength(1);
    expect(await ann.lookup("Note", "ownerId", "bob")).toBeNull();
    expect(await ann.paginate("Note")).toMatchObject({ page: [{ id: mine }], isDone: true });
    expect(await ann.aggregate("Note", { count: true })).toEqual([{ count: 1 }]);
    expect(await db.get("Note", theirs)).toMatchObject({ pin: 1 });
    const editor = { userId: "eve", roles: ["editor"] };
    return [
      await ann.count("Note"),
      await ann.as("bob").count("Note"),
      await db.as(editor).count("Note"),
      await db.as({ userId: null }).count("Note"),
      await db.as({ userId: null, isAdmin: true }).count("Note"),
      await db.count("Note"),
    ];
  }, withPolicy);
  expect(counts).toEqual([1, 1, 2, 0, 2, 2]);
  const reader = createDbReader(withPolicy.store, withPolicy.model, TRUSTED);
  expect(await reader.as("bob").count("Note")).toBe(1);
});

test("as: writes use the user's permissions, and a rejection rolls back all writes", async () => {
  await withPolicy.clear();
  const theirs = await mutate((db) => db.insert("Note", note("bob")), withPolicy);
  const outcome = await mutate(async (db) => {
    const ann = db.as("ann");
    await ann.insert("Note", { ownerId: "ann", text: "mine", pin: 1 });
    return [
      // What ann may not read is not there for her.
      await ann.update("Note", theirs, { text: "stolen" }),
      await ann.delete("Note", theirs),
    ];
  }, withPolicy);
  expect(outcome).toEqual([false, false]);
  const refused = await mutate(async (db) => {
    await db.insert("Note", note("ann"));
    await db.as("ann").insert("Note", note("bob"));
  }, withPolicy).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "POLICY_DENIED" });
  const db = createDbReader(withPolicy.store, withPolicy.model, TRUSTED);
  expect(await db.query("Note", { text: "stolen" })).toEqual([]);
  expect(await db.count("Note")).toBe(2);
});

test("as: an invalid identity is rejected with the field", async () => {
  const identities = [
    [undefined, "user"],
    ["", "user"],
    [7, "user"],
    [{}, "userId"],
    [{ userId: 7 }, "userId"],
    [{ userId: "" }, "userId"],
    [{ userId: "a", tenantId: 7 }, "tenantId"],
    [{ userId: "a", isAdmin: "yes" }, "isAdmin"],
    [{ userId: "a", isGuest: 1 }, "isGuest"],
    [{ userId: "a", roles: "editor" }, "roles"],
  ] as const;
  for (const [identity, named] of identities) {
    const refused = await mutate(async (db) => db.as(identity)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "INVALID_ARGS", field: named });
  }
});
