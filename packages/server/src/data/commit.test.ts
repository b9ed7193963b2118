import { PylonError } from "@pylonsync/protocol";
import { buildManifest, definePlugin, entity, field, policy } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow, TransactOptions } from "../store/store.ts";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import { Committer, type CommitOptions } from "./commit.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import type { Writer } from "./writer.ts";

const NOTE = entity("Note", {
  title: field.string(),
  ownerId: field.string().owner(),
  shared: field.bool().default(false),
  slug: field.string().optional().unique(),
});
const OWN = policy({
  name: "own",
  entity: "Note",
  allowRead: "data.shared || auth.userId == data.ownerId",
  allowWrite: "auth.userId == data.ownerId",
});
const notes = buildManifest({
  name: "notes",
  version: "1.0.0",
  entities: [NOTE],
  policies: [OWN],
});

const CALLERS: Readonly<Record<string, Caller>> = {
  ann: user("ann"),
  bob: user("bob"),
  admin: ADMIN,
  nobody: ANONYMOUS,
};

interface Step {
  readonly kind: "insert" | "update" | "delete";
  readonly by: string;
  readonly id: string;
  readonly data: Readonly<Record<string, string | boolean | null>>;
}

const title = fc.constantFrom("milk", "bread", "\u{1f95b}");
const slug = fc.constantFrom("one", "two", null);
const step: fc.Arbitrary<Step> = fc
  .record({
    kind: fc.constantFrom("insert", "update", "delete"),
    by: fc.constantFrom(...Object.keys(CALLERS)),
    id: fc.constantFrom("r1", "r2", "r3", "r4"),
    data: fc.record({ title, slug, shared: fc.boolean() }, { requiredKeys: ["title"] }),
  })
  .map((made) =>
    made.by === "admin" && made.kind === "insert"
      ? { ...made, data: { ...made.data, ownerId: "ann" } }
      : made,
  );

/** A model of the app's rules: what each step does, or why it is rejected. */
class Model {
  readonly rows = new Map<string, StoredRow>();

  apply({ kind, by, id, data }: Step): string {
    const isAdmin = by === "admin";
    const before = this.rows.get(id);
    if (kind === "insert") {
      if (by === "nobody") return "AUTH_REQUIRED";
      if (before !== undefined) return "ID_TAKEN or UNIQUE_VIOLATION";
      const row = { shared: false, slug: null, ...data, ownerId: isAdmin ? "ann" : by, id };
      if (this.#isTaken(row)) return "UNIQUE_VIOLATION";
      this.rows.set(id, row);
      return id;
    }
    if (before === undefined) return "false";
    if (!isAdmin && before["ownerId"] !== by)
      return before["shared"] === true ? "POLICY_DENIED" : "false";
    if (kind === "delete") {
      this.rows.delete(id);
      return "true";
    }
    const after = { ...before, ...data };
    if (this.#isTaken(after)) return "UNIQUE_VIOLATION";
    this.rows.set(id, after);
    return "true";
  }

  #isTaken(row: StoredRow): boolean {
    const own = row["slug"] ?? null;
    return (
      own !== null && [...this.rows.values()].some((r) => r.id !== row.id && r["slug"] === own)
    );
  }
}

function work({ kind, id, data }: Step): (writer: Writer) => Promise<string> {
  return async (writer) => {
    if (kind === "insert") return writer.insert("Note", data, id);
    const isThere = await (kind === "update"
      ? writer.update("Note", id, data)
      : writer.delete("Note", id));
    return String(isThere);
  };
}

/** Commits the steps in one transaction. @returns for each step its result or an error code */
async function commitAll(
  { committer }: AppData,
  steps: readonly Step[],
  more: Partial<CommitOptions> = {},
): Promise<string[]> {
  const units = steps.map((made) => ({
    options: { caller: CALLERS[made.by] ?? ANONYMOUS, ...more },
    work: work(made),
  }));
  const [first] = units;
  if (units.length !== 1 || first === undefined) {
    const outcomes = await committer.commitEach(units);
    return outcomes.map((outcome) =>
      "error" in outcome ? codeOf(outcome.error) : outcome.committed.result,
    );
  }
  return [await committer.commit(first.options, first.work).then(({ result }) => result, codeOf)];
}

function codeOf(error: unknown): string {
  if (error instanceof PylonError) return error.code;
  throw error;
}

async function rowsOf({ store }: AppData): Promise<StoredRow[]> {
  return store.select({ entity: "Note" });
}

test("writes follow the rules, and the log contains the changes of each", async () => {
  await using app = await openAppData(notes);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 6 }),
      async (transactions) => {
        const start = await app.clear();
        const model = new Model();
        for (const steps of transactions) {
          const expected = steps.map((made) => model.apply(made));
          const found = await commitAll(app, steps);
          for (const [index, outcome] of found.entries())
            expect(expected[index]?.split(" or ")).toContain(outcome);
        }
        const rows = [...model.rows.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
        expect<unknown>(await rowsOf(app)).toEqual(rows);

        // The rows can be rebuilt from the log alone, and each change starts from the state that
        // the previous one left.
        const replayed = new Map<string, StoredRow>();
        for (const { rowId, kind, before, after } of await app.store.changes(start, 1000)) {
          expect<unknown>(before).toEqual(replayed.get(rowId) ?? null);
          expect(kind).toBe(before === null ? "insert" : after === null ? "delete" : "update");
          expect(before).not.toEqual(after);
          if (after === null) replayed.delete(rowId);
          else replayed.set(rowId, after);
        }
        expect<unknown>(Object.fromEntries(replayed)).toEqual(Object.fromEntries(model.rows));
      },
    ),
    { numRuns: 30 },
  );
});

test("an operation that is sent again is applied once, and gets the same response", async () => {
  await using app = await openAppData(notes);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 5 }), async (steps) => {
      await app.clear();
      const identified = steps.filter(({ by }) => by !== "nobody");
      for (const [index, made] of identified.entries()) {
        const op = { id: `op${index}`, purpose: "test", request: made, field: "op_id" } as const;
        const first = await commitAll(app, [made], { op });
        const { head } = await app.store.bounds();
        const again = await commitAll(app, [made], { op });
        // A rejected operation leaves no trace, so it is attempted again, and rejected again.
        expect(again).toEqual(first);
        expect((await app.store.bounds()).head).toBe(head);
      }
    }),
    { numRuns: 20 },
  );
});

test("work that throws is rolled back, and is counted by how it ended", async () => {
  const outcomes: string[] = [];
  await using app = await openAppData(notes, {
    observer: (outcome, durationMs) => outcomes.push(`${outcome} ${durationMs}`),
  });
  const { committer, platform } = app;
  const options = { caller: user("ann") };
  const insert = (writer: Writer): Promise<string> => writer.insert("Note", { title: "milk" });
  const failing = (error: Error) => async (writer: Writer) => {
    await insert(writer);
    platform.advance(20);
    throw error;
  };
  await expect(committer.commit(options, failing(new TypeError("a bug")))).rejects.toThrow("a bug");
  await expect(
    committer.commit(options, failing(new PylonError("SOLD_OUT", "No more."))),
  ).rejects.toThrow("No more.");
  expect(await rowsOf(app)).toEqual([]);
  await committer.commit(options, insert);
  expect(await rowsOf(app)).toHaveLength(1);
  expect(outcomes).toEqual(["failed 20", "refused 20", "committed 0"]);
});

test("work that writes only rows with local rules runs concurrently with other work", async () => {
  const team = entity("Team", { userId: field.string() });
  const task = entity("Task", { teamId: field.string() });
  const all = [
    OWN,
    policy({ name: "team", entity: "Team", allow: "auth.userId == data.userId" }),
    policy({
      name: "task",
      entity: "Task",
      allow: "exists(Team, id == data.teamId && userId == auth.userId)",
    }),
  ];
  const base = { name: "mixed", version: "1.0.0", entities: [NOTE, team, task], policies: all };
  const hooked = buildManifest({
    ...base,
    plugins: [definePlugin({ name: "audit", hooks: { afterInsert: () => undefined } })],
  });
  const cases: [AppData, readonly string[] | undefined, TransactOptions["isolation"]][] = [];
  await using plain = await openAppData(buildManifest(base));
  await using withHooks = await openAppData(hooked);
  cases.push(
    [plain, ["Note"], "snapshot"],
    [plain, ["Note", "Team"], "snapshot"],
    [plain, ["NotAnEntity"], "snapshot"],
    [plain, ["Task"], "serializable"],
    [plain, ["Note", "Task"], "serializable"],
    [plain, undefined, "serializable"],
    [withHooks, ["Note"], "serializable"],
  );
  for (const [app, writesOnly, expected] of cases) {
    const seen: TransactOptions["isolation"][] = [];
    const store = new Proxy(app.store, {
      get: (target, name) =>
        name === "transact"
          ? (run: Parameters<typeof target.transact>[0], options: TransactOptions) => {
              seen.push(options.isolation);
              return target.transact(run, options);
            }
          : Reflect.get(target, name, target),
    });
    const committer = new Committer(store, () => app.model, app.platform);
    await committer.commit({ caller: user("ann"), writesOnly }, async () => null);
    await committer.commitEach([
      { options: { caller: user("ann"), writesOnly }, work: async () => null },
    ]);
    expect(seen).toEqual([expected, expected]);
  }
});

test("an error of a single piece is its outcome, and one of the store is thrown", async () => {
  await using app = await openAppData(notes);
  const options = { caller: user("ann") };
  const bug = new Error("a bug");
  const insert = (title: unknown) => (writer: Writer) => writer.insert("Note", { title }, "r1");
  const outcomesOf = (committer: Committer, work: (writer: Writer) => Promise<unknown>) =>
    committer.commitEach([{ options, work }]);
  const refused = await outcomesOf(app.committer, insert(1));
  expect(refused).toEqual([{ error: expect.objectContaining({ code: "INVALID_DATA" }) }]);
  const failed = async (writer: Writer): Promise<never> => {
    await insert("milk")(writer);
    throw bug;
  };
  expect(await outcomesOf(app.committer, failed)).toEqual([{ error: bug }]);
  expect(await rowsOf(app)).toEqual([]);
  expect(await outcomesOf(app.committer, insert("milk"))).toEqual([
    { committed: { result: "r1", replayed: false } },
  ]);
  const full = new PylonError("STORAGE_UNAVAILABLE", "The disk is full.");
  const store = new Proxy(app.store, {
    get: (target, name) =>
      name === "transact" ? () => Promise.reject(full) : Reflect.get(target, name),
  });
  const committer = new Committer(store, () => app.model, app.platform);
  await expect(outcomesOf(committer, insert("milk"))).rejects.toBe(full);
});

test("data that belongs to a row is deleted with it, or stays if the deletion fails", async () => {
  await using app = await openAppData(notes);
  const gone: string[] = [];
  app.committer.onDeleteCascade({
    concerns: (entity) => entity === "Note",
    delete: async (tx, row) => {
      expect(await tx.get("Note", row.id)).toBeNull();
      gone.push(row.id);
      if (row["title"] === "kept") throw new PylonError("CONFLICT", "It is held.");
    },
  });
  const caller = user("ann");
  for (const [id, name] of [
    ["r1", "milk"],
    ["r2", "kept"],
  ] as const)
    await app.committer.commit({ caller }, (writer) => writer.insert("Note", { title: name }, id));
  const remove = (id: string): Promise<unknown> =>
    app.committer.commit({ caller }, (writer) => writer.delete("Note", id));
  await remove("r1");
  await expect(remove("r2")).rejects.toThrow("It is held.");
  expect(gone).toEqual(["r1", "r2"]);
  expect((await rowsOf(app)).map(({ id }) => id)).toEqual(["r2"]);
});
