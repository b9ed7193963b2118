import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import { compilePredicate, type Expr } from "@pylonsync/query";
import fc from "fast-check";
import type { StoredRow, Transaction, Value } from "../store/store.ts";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import {
  claimable,
  claimOp,
  forgetOldAnswers,
  hasIdentity,
  OP_RETENTION_MS,
  operationOf,
  storedAnswer,
  storeAnswer,
  type ClaimedOperation,
  type Operation,
} from "./idempotency.ts";

/** An in-memory table with the part of a transaction that operations use. */
class Table implements Transaction {
  readonly rows = new Map<string, StoredRow>();

  async get(_entity: string, id: string): Promise<StoredRow | null> {
    return Promise.resolve(this.rows.get(id) ?? null);
  }
  async insert(_entity: string, row: StoredRow): Promise<void> {
    if (this.rows.has(row.id)) throw new PylonError("ID_TAKEN", "It is taken.");
    this.rows.set(row.id, row);
    return Promise.resolve();
  }
  async update(
    _entity: string,
    id: string,
    patch: Readonly<Record<string, Value>>,
  ): Promise<boolean> {
    const row = this.rows.get(id);
    if (row !== undefined) this.rows.set(id, { ...row, ...patch });
    return Promise.resolve(row !== undefined);
  }
  async deleteWhere(_entity: string, where: Expr): Promise<number> {
    const matches = compilePredicate(where);
    const gone = [...this.rows.values()].filter((data) => matches({ data }));
    for (const { id } of gone) this.rows.delete(id);
    return Promise.resolve(gone.length);
  }
  readonly select = unused;
  readonly search = unused;
  readonly count = unused;
  readonly aggregate = unused;
  readonly test = unused;
  readonly delete = unused;
  readonly append = unused;
  readonly attempt = unused;
  readonly insertNew = unused;
  readonly insertMany = unused;
  readonly updateMany = unused;
  readonly updateAtEnd = unused;
}

function unused(): never {
  throw new Error("Operations do not use this.");
}

const names = fc.string({
  unit: fc.constantFrom("a", "b", '"', ",", "["),
  minLength: 1,
  maxLength: 4,
});
const identified: fc.Arbitrary<Caller> = fc.oneof(
  fc.constant(ADMIN),
  names.map((userId) => ({ ...ANONYMOUS, userId })),
  names.map((apiKeyId) => ({ ...ANONYMOUS, apiKeyId })),
  fc.constantFrom("admin", "key", '["admin"]').map((userId) => ({ ...ANONYMOUS, userId })),
);
const operations = fc.record({
  id: names,
  purpose: names,
  request: fc.jsonValue({ maxDepth: 2 }),
  field: fc.constant("op_id" as const),
});

function claimed(caller: Caller, operation: Operation): ClaimedOperation {
  const claim = claimable(caller, operation);
  if (claim === null) throw new Error("The caller has no identity.");
  return claim;
}

test("operations are the same exactly if their caller, purpose and name are the same", () => {
  const who = ({ isAdmin, userId, apiKeyId }: Caller): unknown =>
    isAdmin ? "the admin" : [userId, apiKeyId];
  fc.assert(
    fc.property(identified, operations, identified, operations, (a, first, b, second) => {
      const isSame =
        JSON.stringify([who(a), first.purpose, first.id]) ===
        JSON.stringify([who(b), second.purpose, second.id]);
      expect(claimed(a, first).key === claimed(b, second).key).toBe(isSame);
    }),
    { numRuns: 500 },
  );
});

test("the order of keys does not change a request, but any other value does", () => {
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, part]) => [key, reversed(part)]),
    );
  };
  fc.assert(
    fc.property(operations, fc.jsonValue({ maxDepth: 2 }), (operation, other) => {
      const { fingerprint } = claimed(ADMIN, operation);
      const again = claimed(ADMIN, { ...operation, request: reversed(operation.request) });
      expect(again.fingerprint).toBe(fingerprint);
      const isEqual = Bun.deepEquals(toJson(other), toJson(operation.request), true);
      expect(claimed(ADMIN, { ...operation, request: other }).fingerprint === fingerprint).toBe(
        isEqual,
      );
    }),
  );
});

test("a retry gets the first response, whatever it was; another request is rejected", async () => {
  await fc.assert(
    fc.asyncProperty(
      identified,
      operations,
      fc.option(fc.jsonValue()),
      async (caller, operation, answer) => {
        const table = new Table();
        const operationKey = claimed(caller, operation);
        expect(await claimOp(table, operationKey, 0)).toBe(true);
        await storeAnswer(table, operationKey, answer);
        expect(await claimOp(table, claimed(caller, operation), 1)).toBe(false);
        expect(await storedAnswer(table, operationKey)).toEqual(toJson(answer));
        const other = claimed(caller, { ...operation, request: [operation.request] });
        expect(await codeOf(storedAnswer(table, other))).toBe("IDEMPOTENCY_KEY_REUSED");
      },
    ),
  );
});

test("a response is deleted when its retention ends, and not before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2 * OP_RETENTION_MS), { maxLength: 8 }), async (times) => {
      const table = new Table();
      const now = 2 * OP_RETENTION_MS;
      for (const [index, at] of times.entries())
        await claimOp(
          table,
          { key: String(index), fingerprint: "", field: "op_id", subject: null },
          at,
        );
      const old = times.filter((at) => at < now - OP_RETENTION_MS);
      expect(await forgetOldAnswers(table, now)).toBe(old.length);
      expect(table.rows.size).toBe(times.length - old.length);
    }),
  );
});

test("a caller without an identity has no operations", () => {
  const operation: Operation = { id: "a", purpose: "b", request: null, field: "op_id" };
  expect(hasIdentity(ANONYMOUS)).toBe(false);
  expect(claimable(ANONYMOUS, operation)).toBeNull();
  fc.assert(fc.property(identified, (caller) => expect(hasIdentity(caller)).toBe(true)));
});

test.each([
  [null, null],
  ["a", "a"],
  ["", "INVALID_DATA"],
  ["a".repeat(128), "a".repeat(128)],
  ["a".repeat(129), "INVALID_DATA"],
])("#%#: the header names the operation, or is refused", async (header, expected) => {
  const headers = new Headers(header === null ? {} : { "Idempotency-Key": header });
  const named = async (): Promise<unknown> =>
    Promise.resolve(operationOf(headers, "insert", null)?.id ?? null);
  expect(await named().catch((error: unknown) => (error as PylonError).code)).toBe(expected);
});

function toJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => (error instanceof PylonError ? error.code : error),
  );
}
