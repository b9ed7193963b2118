import { afterAll, expect, test } from "bun:test";
import type { ChangeEvent, PullResponse } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import fc from "fast-check";
import { openAppData, user } from "../data/testing/app-data.ts";
import { ADMIN, ANONYMOUS, ANONYMOUS_IDENTITY, type Caller } from "../identity/identity.ts";
import { Puller, type PullRequest } from "./pull.ts";

// A replica that is read page by page while others write, against the rows that its caller may
// read at the end.

const manifest = buildManifest({
  name: "pull",
  version: "1.0.0",
  entities: [
    entity("Note", { owner: field.string(), text: field.string() }),
    entity("Public", { text: field.string() }),
    entity("Closed", { text: field.string() }),
  ],
  policies: [
    policy({ name: "notes", entity: "Note", allowRead: "data.owner == auth.userId" }),
    policy({ name: "public", entity: "Public", allowRead: "true" }),
  ],
});
const data = await openAppData(manifest);
afterAll(() => data[Symbol.asyncDispose]());
const puller = new Puller(data.store, data.store, data.model, data.platform.now);

const write = fc.record({
  entity: fc.constantFrom("Note", "Public", "Closed"),
  slot: fc.nat({ max: 5 }),
  owner: fc.constantFrom("ann", "bob"),
  isDeleted: fc.boolean(),
});
type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;
const callers = fc.constantFrom<Caller>(user("ann"), user("bob"), ANONYMOUS, ADMIN);

/** Writes as the app's own functions do, and does nothing where no row is. */
async function apply(writes: readonly Write[], ids: Map<string, string>): Promise<void> {
  await data.committer.commit({ caller: ADMIN, policies: "bypassed" }, async (writer) => {
    for (const { entity: name, slot, owner, isDeleted } of writes) {
      const key = `${name} ${slot}`;
      const id = ids.get(key);
      const fields = name === "Note" ? { owner, text: key } : { text: owner };
      if (isDeleted && id !== undefined) {
        await writer.delete(name, id);
        ids.delete(key);
      } else if (!isDeleted && id !== undefined) await writer.update(name, id, fields);
      else if (!isDeleted) ids.set(key, await writer.insert(name, fields));
    }
  });
}

function take(replica: Map<string, unknown>, changes: readonly ChangeEvent[]): void {
  for (const { entity: name, row_id: id, kind, data: row } of changes) {
    const known = replica.get(id);
    if (kind === "delete") replica.delete(id);
    else if (kind === "insert") replica.set(id, { name, ...row });
    else if (known !== undefined) replica.set(id, { ...known, ...row });
  }
}

async function readableBy(caller: Caller): Promise<Map<string, unknown>> {
  const rows = new Map<string, unknown>();
  for (const name of ["Note", "Public", ...(caller.isAdmin ? ["Closed"] : [])])
    for (const row of await data.reads(caller).query(name, {})) rows.set(row.id, { name, ...row });
  return rows;
}

const request = (more: Partial<PullRequest>): PullRequest => ({
  since: 0,
  epoch: null,
  limit: 2,
  page: null,
  ...more,
});

test("pages of any size with writes between them are what may be read", async () => {
  await fc.assert(
    fc.asyncProperty(
      callers,
      fc.integer({ min: 1, max: 7 }),
      fc.array(write, { maxLength: 12 }),
      fc.array(fc.array(write, { maxLength: 4 }), { maxLength: 6 }),
      async (caller, limit, before, during) => {
        await data.clear();
        const ids = new Map<string, string>();
        await apply(before, ids);
        const replica = new Map<string, unknown>();
        let answer: PullResponse = await puller.pull(request({ limit }), {
          ...ANONYMOUS_IDENTITY,
          caller,
        });
        take(replica, answer.changes);
        const pending = [...during];
        for (let next = answer.next_page; next !== undefined; next = answer.next_page) {
          await apply(pending.shift() ?? [], ids);
          answer = await puller.pull(request({ limit, page: next }), {
            ...ANONYMOUS_IDENTITY,
            caller,
          });
          expect(answer.changes.length).toBeLessThanOrEqual(limit);
          take(replica, answer.changes);
        }
        for (const writes of pending) await apply(writes, ids);
        const { last_seq: since } = answer.cursor;
        const epoch = answer.epoch ?? null;
        // A replica of an empty log begins again, as its cursor is 0.
        if (since === 0) replica.clear();
        const last = await puller.pull(request({ since, epoch, limit: 1_000 }), {
          ...ANONYMOUS_IDENTITY,
          caller,
        });
        take(replica, last.changes);
        expect(last.has_more).toBe(false);
        expect(replica).toEqual(await readableBy(caller));
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test("what can't be continued is begun again, and a token of no answer is refused", async () => {
  await data.clear();
  await apply([{ entity: "Public", slot: 0, owner: "ann", isDeleted: false }], new Map());
  const { cursor, epoch = null } = await puller.pull(request({}), ANONYMOUS_IDENTITY);
  const since = cursor.last_seq;
  for (const [more, code] of [
    [{ since: since + 1, epoch }, "RESYNC_REQUIRED"],
    [{ since, epoch: "of another log" }, "RESYNC_REQUIRED"],
    [{ page: "%%%" }, "INVALID_QUERY"],
    [{ page: btoa(JSON.stringify([since, "Gone", null])) }, "INVALID_QUERY"],
    [{ page: btoa(JSON.stringify([since, "Public", "'; DROP"])) }, "INVALID_QUERY"],
    [{ page: btoa(JSON.stringify([since + 9, "Public", null])) }, "RESYNC_REQUIRED"],
  ] as const)
    expect(puller.pull(request(more), ANONYMOUS_IDENTITY)).rejects.toMatchObject({ code });
});

test("a whole snapshot in pieces is the answer that one page would be", async () => {
  await data.clear();
  const row = "x".repeat(10_000);
  await data.committer.commit({ caller: ADMIN, policies: "bypassed" }, async (writer) => {
    for (let index = 0; index < 600; index += 1) await writer.insert("Public", { text: row });
  });
  const whole = await puller.wholeSnapshot({ since: 0, epoch: null, page: null }, ANONYMOUS);
  let text = "";
  if (Symbol.asyncIterator in whole) for await (const piece of whole) text += piece;
  const answer = JSON.parse(text) as PullResponse;
  expect(answer.changes).toHaveLength(600);
  expect(answer).toMatchObject({ has_more: false, schema: expect.anything() });
  expect(answer.next_page).toBeUndefined();
});
