import { afterAll, beforeEach, expect, test } from "bun:test";
import { MAX_PUSH_CHANGES, type PushResponse } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import fc from "fast-check";
import { openAppData, user } from "../data/testing/app-data.ts";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import { parsePush, push } from "./push.ts";

// What a client's changes do, however often it sends them.

const manifest = buildManifest({
  name: "push",
  version: "1.0.0",
  entities: [
    entity("Note", { owner: field.string(), text: field.string(), count: field.int() }),
    entity("Open", { count: field.int() }),
    entity("Tally", { owner: field.string(), name: field.string().unique(), n: field.int() }),
  ],
  policies: [
    policy({ name: "notes", entity: "Note", allow: "data.owner == auth.userId" }),
    policy({ name: "open", entity: "Open", allow: "true" }),
    policy({ name: "tallies", entity: "Tally", allow: "data.owner == auth.userId" }),
  ],
});
const data = await openAppData(manifest);
afterAll(() => data[Symbol.asyncDispose]());
beforeEach(() => data.clear());
const services = {
  store: data.store,
  committer: data.committer,
  model: () => data.model,
  platform: data.platform,
  reader: data.store,
};
const ann = user("ann");

interface Change {
  readonly op_id?: string;
  readonly entity: string;
  readonly row_id: string;
  readonly kind: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly if_unchanged?: Readonly<Record<string, unknown>>;
}

const idOf = (slot: number): string => `${slot}`.padStart(40, "0");
const send = (
  changes: readonly unknown[],
  caller: Caller = ann,
  results = true,
): Promise<PushResponse> =>
  push(parsePush({ changes, results, client_id: "c" }), caller, services, () => undefined);
const note = (slot: number, fields: object = {}): Change => ({
  op_id: `insert ${slot}`,
  entity: "Note",
  row_id: idOf(slot),
  kind: "insert",
  data: { owner: "ann", text: "", count: 0, ...fields },
});
const sendAs = (author: string | null, caller: Caller): Promise<PushResponse> =>
  push(
    parsePush({ changes: [note(0)], results: true, user_id: author }),
    caller,
    services,
    () => undefined,
  );
const rows = (name = "Note"): Promise<unknown[]> => data.reads().query(name, {});

const changes: fc.Arbitrary<Change[]> = fc.array(
  fc
    .record({
      slot: fc.nat({ max: 3 }),
      kind: fc.constantFrom("insert", "update", "delete"),
      owner: fc.constantFrom("ann", "bob"),
      by: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ slot, kind, owner, by }): Change => {
      const change = { entity: "Note", row_id: idOf(slot), kind };
      if (kind === "insert") return { ...change, data: { owner, text: "", count: by } };
      return kind === "delete" ? change : { ...change, data: { count: { $increment: by } } };
    }),
  { maxLength: 10 },
);

test("changes that are sent again, in other groups, count once", async () => {
  await fc.assert(
    fc.asyncProperty(
      changes,
      fc.array(fc.nat({ max: 10 }), { maxLength: 4 }),
      async (all, cuts) => {
        await data.clear();
        const named = all.map((change, index) => ({ ...change, op_id: `op ${index}` }));
        const first = await send(named);
        const once = await rows();
        let from = 0;
        for (const cut of [...cuts.toSorted((a, b) => a - b), named.length]) {
          const again = await send(named.slice(from, cut));
          for (const [index, { status }] of (again.results ?? []).entries()) {
            const before = first.results?.[from + index]?.status;
            expect([before, status]).toEqual([before, before === "applied" ? "deduped" : status]);
          }
          from = Math.max(from, cut);
        }
        // A refused change may be possible by now: what was applied is as it was.
        if (first.errors.length === 0) expect(await rows()).toEqual(once);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test("of changes with results a refused or malformed one is refused alone", async () => {
  const { applied, results } = await send([
    note(1),
    { ...note(2), data: { owner: "bob", text: "", count: 0 } },
    { entity: "Note", row_id: idOf(3), kind: "upsert", op_id: "odd" },
    "no change",
    { entity: "Note", row_id: idOf(9), kind: "delete", op_id: "gone" },
    { entity: "Note", row_id: "../../etc", kind: "delete" },
    { ...note(4), if_unchanged: { count: 1 } },
    note(5),
  ]);
  expect(applied).toBe(3);
  expect(results?.map(({ status, error }) => error?.code ?? status)).toEqual([
    "applied",
    "POLICY_DENIED",
    "INVALID_DATA",
    "INVALID_DATA",
    "applied",
    "INVALID_ID",
    "INVALID_DATA",
    "applied",
  ]);
  expect(results?.[2]?.op_id).toBe("odd");
  expect(await rows()).toHaveLength(2);
});

test("a condition has effect under both of its names", async () => {
  for (const name of ["if_unchanged", "ifUnchanged"]) {
    const { results } = await send([
      note(1),
      { entity: "Note", row_id: idOf(1), kind: "update", data: { count: 5 }, [name]: { count: 9 } },
      { entity: "Note", row_id: idOf(1), kind: "delete", [name]: { count: 9 } },
    ]);
    expect(results?.slice(1).map(({ error }) => error?.code)).toEqual([
      "ROW_CHANGED",
      "ROW_CHANGED",
    ]);
  }
});

const upsert = (slot: number, more: object = {}): object => ({
  op_id: `upsert ${slot}`,
  entity: "Tally",
  row_id: idOf(slot),
  kind: "insert",
  data: { owner: "ann", name: "a", n: 1 },
  upsert: { by: "name", update: { n: { $increment: 1 } } },
  ...more,
});

/** The status of each change, with the id of its row or the code of its error. */
async function outcomes(changes: readonly object[], caller = ann): Promise<unknown> {
  const { results } = await send(changes, caller);
  return results?.map(({ status, id, error }) => [status, error?.code ?? id]);
}

test("an upsert updates the row with its key, whatever id the client shows", async () => {
  const first = [upsert(1), upsert(2)];
  expect(await outcomes(first)).toEqual([
    ["applied", idOf(1)],
    ["applied", idOf(1)],
  ]);
  // Sent again, it has the same result and no effect.
  expect(await outcomes(first)).toEqual([
    ["deduped", idOf(1)],
    ["deduped", idOf(1)],
  ]);
  const whole = { owner: "ann", name: "a", n: 7 };
  const shown = { kind: "update", data: { n: 7 }, upsert: { by: ["name"], data: whole } };
  expect(await outcomes([upsert(3, shown)])).toEqual([["applied", idOf(1)]]);
  expect(await rows("Tally")).toEqual([{ id: idOf(1), ...whole }]);
  const other = { by: "name", data: { ...whole, name: "b" } };
  const created = await outcomes([upsert(4, { ...shown, upsert: other })]);
  expect(created).toEqual([["applied", expect.not.stringContaining(idOf(4))]]);
});

test("an upsert is checked like the write that it becomes", async () => {
  const row = { owner: "ann", name: "a", n: 7 };
  expect(await outcomes([upsert(1)])).toEqual([["applied", idOf(1)]]);
  const wrong: [object, string][] = [
    [upsert(5, { upsert: { by: "n" } }), "INVALID_DATA"],
    [upsert(6, { kind: "delete" }), "INVALID_DATA"],
    [upsert(7, { if_unchanged: { n: 7 } }), "INVALID_DATA"],
    [upsert(8, { data: { ...row, owner: "bob", name: "c" } }), "POLICY_DENIED"],
    [upsert(9, { upsert: { by: 5 } }), "INVALID_DATA"],
    [upsert(9, { upsert: { by: "name", updat: { n: 1 } } }), "INVALID_DATA"],
  ];
  expect(await outcomes(wrong.map(([change]) => change))).toEqual(
    wrong.map(([, code]) => ["refused", code]),
  );
  // Bob may not read the row, so its name is taken for him.
  const bobs = upsert(10, { data: { ...row, owner: "bob" } });
  expect(await outcomes([bobs], user("bob"))).toEqual([["refused", "UNIQUE_VIOLATION"]]);
  expect(await outcomes([upsert(11)], ANONYMOUS)).toEqual([["refused", "AUTH_REQUIRED"]]);
});

test("an older client hears nothing of what comes after the first refusal", async () => {
  const answer = await send([note(1), note(1), note(2)], ann, false);
  expect(answer).toMatchObject({ applied: 3, deduped: 1 });
  expect(answer.results).toBeUndefined();
  const stopped = await send([{ ...note(3), data: { owner: "bob" } }, note(4)], ann, false);
  expect(stopped).toMatchObject({ applied: 0, errors: [expect.stringContaining("insert Note")] });
  expect(await rows()).toHaveLength(2);
});

test("a caller without an identity may repeat an insert, and can't add twice", async () => {
  const insert = {
    op_id: "i",
    entity: "Open",
    row_id: idOf(1),
    kind: "insert",
    data: { count: 1 },
  };
  const twice = [await send([insert], ANONYMOUS), await send([insert], ANONYMOUS)];
  expect(twice.map(({ results }) => results?.[0]?.status)).toEqual(["applied", "deduped"]);
  const other = await send([{ ...insert, op_id: "j", data: { count: 2 } }], ANONYMOUS);
  expect(other.results?.[0]?.error?.code).toBe("ID_TAKEN");
  const more = { ...insert, op_id: "k", kind: "update", data: { count: { $increment: 1 } } };
  const { results } = await send([more], ANONYMOUS);
  expect(results?.[0]?.error).toMatchObject({ code: "AUTH_REQUIRED", field: "count" });
  expect(await rows("Open")).toMatchObject([{ count: 1 }]);
});

test("an older client that sends too many changes at once hears of the first ones", async () => {
  const pending = Array.from({ length: MAX_PUSH_CHANGES + 2 }, (_, slot) => note(slot));
  const first = await send(pending, ann, false);
  expect(first).toMatchObject({ applied: MAX_PUSH_CHANGES, errors: [] });
  const rest = await send(pending.slice(first.applied), ann, false);
  expect(rest).toMatchObject({ applied: 2, deduped: 0, errors: [] });
  expect(await data.reads().aggregate("Note", { count: true })).toEqual([
    { count: pending.length },
  ]);
});

test("a push that is none, or too long for its results, is refused whole", () => {
  const tooLong = { changes: Array(100_000).fill({}), results: true };
  for (const body of [null, [], {}, { changes: {} }, tooLong])
    expect(() => parsePush(body)).toThrow(expect.objectContaining({ code: "INVALID_DATA" }));
});

test("a push that names its author is refused to every other caller", async () => {
  for (const [author, caller] of [
    ["bob", ann],
    [null, ann],
    ["ann", user("bob")],
  ] as const) {
    const refused = sendAs(author, caller);
    await expect(refused).rejects.toMatchObject({ code: "UNAUTHORIZED", field: "user_id" });
  }
  expect(await rows()).toEqual([]);
  expect(await sendAs("ann", ann)).toMatchObject({ applied: 1, errors: [] });
  expect(() => parsePush({ changes: [], user_id: 5 })).toThrow(
    expect.objectContaining({ code: "INVALID_DATA" }),
  );
});
