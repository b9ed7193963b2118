import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { currentOperation, runIn } from "../../observe/operation.ts";
import { planMigration } from "../../schema/diff.ts";
import type { ChangeRecord } from "../store.ts";
import { openSqliteStore, type SqliteStore } from "./sqlite-store.ts";

const manifest = buildManifest({
  name: "group",
  version: "1.0.0",
  entities: [entity("Item", { n: field.int() })],
});

let folder: string;
let store: SqliteStore;
const heard: ChangeRecord[][] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pylon-group-"));
  store = openSqliteStore(join(folder, "group.db"));
  await store.migrate(() => ({
    migration: planMigration(null, manifest).migration,
    manifestJson: JSON.stringify(manifest),
  }));
  store.follow((changes) => heard.push([...changes]));
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

test("a failing piece of a batch is rolled back on its own", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), async (pieces) => {
      await store.transact((tx) => tx.deleteWhere("Item", { kind: "literal", value: true }));
      heard.length = 0;
      const results = await Promise.allSettled(
        pieces.map((succeeds, n) =>
          store.transact(async (tx) => {
            const after = { id: `r${n}`, n };
            await tx.insert("Item", after);
            await tx.append({
              entity: "Item",
              rowId: after.id,
              kind: "insert",
              before: null,
              after,
              at: 0,
            });
            // Earlier pieces of the batch are visible, whether they are durable yet or not.
            const before = pieces.slice(0, n + 1).filter((done, index) => done || index === n);
            expect(await tx.count("Item")).toBe(before.length);
            if (!succeeds) throw new Error(`${n} fails`);
            return n;
          }),
        ),
      );
      expect(results.map(({ status }) => status === "fulfilled")).toEqual(pieces);
      const kept = pieces.flatMap((succeeds, n) => (succeeds ? [n] : []));
      expect((await store.select({ entity: "Item" })).map(({ n }) => n).toSorted(byNumber)).toEqual(
        kept,
      );
      // Few commits for all pieces, in the order of submission, numbered without gaps.
      expect(heard.length).toBeLessThanOrEqual(kept.length);
      const changes = heard.flat();
      expect(changes.map(({ after }) => after?.["n"])).toEqual(kept);
      const [first] = changes;
      expect(changes.map(({ seq }) => seq)).toEqual(
        changes.map((_, index) => (first?.seq ?? 0) + index),
      );
    }),
    { numRuns: 20 },
  );
});

function byNumber(a: unknown, b: unknown): number {
  return Number(a) - Number(b);
}

test("each piece runs in the context of its submitter, not of the batch's first one", async () => {
  const operation = (id: string) => ({ requestId: id, where: "test", span: null });
  const seen = await Promise.all(
    ["one", "two", "three"].map((id) =>
      runIn(operation(id), () => store.transact(async () => currentOperation()?.requestId)),
    ),
  );
  expect(seen).toEqual(["one", "two", "three"]);
});

test("a piece with an aborted signal is rolled back, and the others continue", async () => {
  const client = new AbortController();
  const reason = new Error("the client went away");
  let hasBegun = (): void => undefined;
  const began = new Promise<void>((resolve) => {
    hasBegun = resolve;
  });
  const aborted = store.transact(
    async (tx) => {
      await tx.insert("Item", { id: "aborted", n: 1 });
      hasBegun();
      return new Promise(() => undefined);
    },
    { signal: client.signal },
  );
  const next = store.transact((tx) => tx.get("Item", "aborted"));
  await began;
  client.abort(reason);
  await expect(aborted).rejects.toBe(reason);
  expect(await next).toBeNull();
  await expect(store.transact(async () => "never", { signal: client.signal })).rejects.toBe(reason);
});
