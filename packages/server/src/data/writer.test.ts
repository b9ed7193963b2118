import { isRowId, MAX_TRANSACTION_WRITES, PylonError } from "@pylonsync/protocol";
import { buildManifest, definePlugin, entity, field, type EntityHooks } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { rowBytes } from "../store/row-size.ts";
import type { StoredRow, Transaction } from "../store/store.ts";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import type { Writer } from "./writer.ts";

const ENTITIES = [
  entity(
    "Post",
    {
      title: field.string(),
      authorId: field.string().owner(),
      editorId: field.string().owner().optional(),
      kind: field.string().default("note").readonly(),
      madeAt: field.datetime().default("now"),
      parentId: field.id("Post").optional(),
    },
    {
      relations: [
        { name: "parent", target: "Post", field: "parentId" },
        { name: "replies", target: "Post", field: "parentId", many: true },
      ],
    },
  ),
  entity("User", {
    email: field.string(),
    emailVerified: field.bool().default(false),
    name: field.string().optional(),
  }),
];
const open = (hooks: EntityHooks = {}, options: Parameters<typeof openAppData>[1] = {}) =>
  openAppData(
    buildManifest({
      name: "writer",
      version: "1.0.0",
      access: "public",
      entities: ENTITIES,
      plugins: Object.keys(hooks).length === 0 ? [] : [definePlugin({ name: "hooks", hooks })],
    }),
    options,
  );

const policies = fc.constantFrom<"enforced" | "bypassed">("enforced", "bypassed");
const callers: fc.Arbitrary<Caller> = fc.constantFrom(user("ann"), ADMIN, ANONYMOUS);

/** Runs work in a transaction. @returns its result, or the code of its error */
async function attempt<T>(
  app: AppData,
  options: { readonly caller: Caller; readonly policies?: "enforced" | "bypassed" },
  work: (writer: Writer) => Promise<T>,
): Promise<T | string> {
  try {
    return (await app.committer.commit(options, work)).result;
  } catch (error) {
    if (error instanceof PylonError) return error.code;
    throw error;
  }
}

test("an owner field contains the caller; only trusted writers may set another user", async () => {
  await using app = await open();
  await fc.assert(
    fc.asyncProperty(
      callers,
      policies,
      fc.constantFrom("bob", undefined),
      async (caller, how, named) => {
        const result = await attempt(app, { caller, policies: how }, (writer) =>
          writer.insert("Post", {
            title: "t",
            ...(named === undefined ? {} : { authorId: named }),
          }),
        );
        const isTrusted = how === "bypassed" || caller.isAdmin;
        const expected = isTrusted && named !== undefined ? named : caller.userId;
        if (expected === null) {
          expect(result).toBe(isTrusted ? "MISSING_FIELD" : "AUTH_REQUIRED");
          return;
        }
        expect(isRowId(result)).toBe(true);
        expect<unknown>(await app.store.get("Post", result)).toEqual({
          id: result,
          title: "t",
          authorId: expected,
          editorId: caller.userId,
          kind: "note",
          madeAt: new Date(app.platform.now()).toISOString(),
          parentId: null,
        });
      },
    ),
    { numRuns: 24 },
  );
});

test("readonly and sign-up-managed fields are changed only by trusted writers", async () => {
  await using app = await open();
  const caller = user("ann");
  const trusted = { caller, policies: "bypassed" } as const;
  await attempt(app, trusted, (writer) => writer.insert("Post", { title: "t" }, "post"));
  await attempt(app, trusted, (writer) => writer.insert("User", { email: "A@b.example" }, "ann"));
  expect(await app.store.get("User", "ann")).toMatchObject({ email: "a@b.example" });
  const patches: readonly [string, string, Readonly<Record<string, unknown>>][] = [
    ["Post", "post", { kind: "page" }],
    ["Post", "post", { authorId: "bob" }],
    ["User", "ann", { email: "c@d.example" }],
    ["User", "ann", { emailVerified: true }],
  ];
  for (const [name, id, patch] of patches) {
    const before = await app.store.get(name, id);
    const update = (writer: Writer): Promise<boolean> => writer.update(name, id, patch);
    expect(await attempt(app, { caller }, update)).toBe("READONLY_FIELD");
    expect(await app.store.get(name, id)).toEqual(before);
    expect(await attempt(app, trusted, update)).toBe(true);
    expect(await app.store.get(name, id)).toMatchObject(patch);
    expect(await attempt(app, { caller: ADMIN }, update)).toBe(true);
  }
  const insert = (writer: Writer): Promise<string> =>
    writer.insert("User", { email: "x@y.example" });
  expect(await attempt(app, { caller }, insert)).toBe("READONLY_FIELD");
});

test("a row has a maximum size; a larger one from before may only shrink", async () => {
  await using app = await open({}, { maxRowBytes: 400 });
  const options = { caller: user("ann"), policies: "bypassed" } as const;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("x", "é", "漢", "🥛"),
      fc.integer({ min: 0, max: 400 }),
      async (letter, length) => {
        await app.clear();
        const title = letter.repeat(length);
        const result = await attempt(app, options, (writer) =>
          writer.insert("Post", { title }, "row"),
        );
        const row: StoredRow = {
          id: "row",
          title,
          authorId: "ann",
          editorId: "ann",
          kind: "note",
          madeAt: new Date(app.platform.now()).toISOString(),
          parentId: null,
        };
        expect(result).toBe(rowBytes(row) <= 400 ? "row" : "PAYLOAD_TOO_LARGE");
      },
    ),
    { numRuns: 40 },
  );
  await app.clear();
  const large = { title: "x".repeat(600), kind: "note", madeAt: null, parentId: null };
  await app.store.transact((tx) =>
    tx.insert("Post", { id: "old", authorId: "ann", editorId: null, ...large }),
  );
  const setTitle = (length: number): Promise<boolean | string> =>
    attempt(app, options, (writer) => writer.update("Post", "old", { title: "y".repeat(length) }));
  expect(await setTitle(601)).toBe("PAYLOAD_TOO_LARGE");
  expect(await setTitle(599)).toBe(true);
  expect(await setTitle(600)).toBe("PAYLOAD_TOO_LARGE");
  expect(await setTitle(10)).toBe(true);
  expect(await setTitle(300)).toBe(true);
});

test("a transaction has a limit of writes, including those without effect", async () => {
  await using app = await open();
  const options = { caller: user("ann"), policies: "bypassed" } as const;
  const remove = (times: number): Promise<number | string> =>
    attempt(app, options, async (writer) => {
      await writer.insert("Post", { title: "t" }, "row");
      for (let made = 1; made < times; made += 1) await writer.delete("Post", "not-there");
      return times;
    });
  expect(await remove(MAX_TRANSACTION_WRITES + 1)).toBe("TRANSACTION_TOO_LARGE");
  expect(await app.store.get("Post", "row")).toBeNull();
  expect(await remove(MAX_TRANSACTION_WRITES)).toBe(MAX_TRANSACTION_WRITES);
  expect(await app.store.get("Post", "row")).not.toBeNull();
});

test("a link sets the field of a relation that holds one row", async () => {
  await using app = await open();
  const options = { caller: user("ann") };
  const insert = (id: string): Promise<string> =>
    attempt(app, options, (writer) => writer.insert("Post", { title: id }, id));
  await insert("a");
  await insert("b");
  const parentOf = async (): Promise<unknown> => (await app.store.get("Post", "b"))?.["parentId"];
  expect(await attempt(app, options, (w) => w.link("Post", "b", "parent", "a"))).toBe(true);
  expect(await parentOf()).toBe("a");
  expect(await attempt(app, options, (w) => w.unlink("Post", "b", "parent"))).toBe(true);
  expect(await parentOf()).toBeNull();
  expect(await attempt(app, options, (w) => w.link("Post", "none", "parent", "a"))).toBe(false);
  for (const relation of ["replies", "nothing"])
    expect(await attempt(app, options, (w) => w.link("Post", "b", relation, "a"))).toBe(
      "RELATION_NOT_FOUND",
    );
});

test("hooks see and change what is written, and may reject it", async () => {
  const told: unknown[] = [];
  let refuses = false;
  await using app = await open({
    beforeInsert: (data) => ({ ...data, title: `${String(data["title"])}!` }),
    afterInsert: (row) => void told.push(["inserted", row["title"]]),
    beforeUpdate: (patch) => (refuses ? null : { ...patch, kind: "edited" }),
    afterUpdate: (row, before) => void told.push(["updated", before["title"], row["title"]]),
    beforeDelete: () => (refuses ? false : undefined),
    afterDelete: (before) => {
      told.push(["deleted", before["title"]]);
      if (before["title"] === "held!") throw new PylonError("CONFLICT", "It is held.");
    },
  });
  const options = { caller: user("ann") };
  const insert = (title: string): Promise<string> =>
    attempt(app, options, (writer) => writer.insert("Post", { title }, title));
  await insert("one");
  await insert("held");
  const update = (): Promise<boolean | string> =>
    attempt(app, options, (writer) => writer.update("Post", "one", { title: "two" }));
  const remove = (id: string): Promise<boolean | string> =>
    attempt(app, options, (writer) => writer.delete("Post", id));
  refuses = true;
  expect(await update()).toBe("HOOK_REFUSED");
  expect(await remove("one")).toBe("HOOK_REFUSED");
  expect(await app.store.get("Post", "one")).toMatchObject({ title: "one!", kind: "note" });
  refuses = false;
  // A hook may set a field that a caller may not set, because it is the app's own code.
  expect(await update()).toBe(true);
  expect(await app.store.get("Post", "one")).toMatchObject({ title: "two", kind: "edited" });
  expect(await remove("held")).toBe("CONFLICT");
  expect(await app.store.get("Post", "held")).not.toBeNull();
  expect(await remove("one")).toBe(true);
  expect(told).toEqual([
    ["inserted", "one!"],
    ["inserted", "held!"],
    ["updated", "one!", "two"],
    ["deleted", "held!"],
    ["deleted", "two"],
  ]);
});

test("a writer reads its own writes, and can't be used after the work is done", async () => {
  await using app = await open();
  let left: Transaction | undefined;
  const { result } = await app.committer.commit({ caller: user("ann") }, async (writer) => {
    left = writer.transaction;
    const id = await writer.insert("Post", { title: "t" });
    return [
      (await writer.get("Post", id))?.["title"],
      (await writer.select({ entity: "Post" })).length,
      await writer.count("Post"),
    ];
  });
  expect(result).toEqual(["t", 1, 1]);
  await expect(left?.get("Post", "x")).rejects.toThrow("The transaction has ended");
});
