import { PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { user, openAppData, type AppData } from "../data/testing/app-data.ts";
import { createDbReader, createDbWriter, type LooseWriter } from "./db.ts";

const manifest = buildManifest({
  name: "db",
  version: "1.0.0",
  entities: [entity("Item", { n: field.int(), secret: field.string().optional() })],
});

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

/** Runs a part of a mutation with its `ctx.db`. */
async function mutate<T>(work: (db: LooseWriter) => Promise<T>): Promise<T> {
  const scope = { caller: user("ann"), now: app.platform.now() };
  const { result } = await app.committer.commit(
    { caller: scope.caller, policies: "bypassed" },
    (writer) => work(createDbWriter(writer, app.model, scope)),
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
  const db = createDbReader(app.store, app.model, { caller: user("bob"), now: 0 });
  expect(await db.query("Item", { n: 2 })).toEqual([row]);
});

test("an insert takes an id of the data, and a made one is returned", async () => {
  await app.clear();
  expect(await mutate((db) => db.insert("Item", { id: "mine", n: 1 }))).toBe("mine");
  expect(await mutate((db) => db.insert("Item", { n: 1 }))).toMatch(/^[\da-f]{40}$/);
  const code = await mutate((db) => db.insert("Item", { id: "not an id", n: 1 })).then(
    () => null,
    (error: unknown) => (error instanceof PylonError ? error.code : error),
  );
  expect(code).toBe("INVALID_ID");
});

test("an id that is not a text is refused with its method and place", async () => {
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
