import { PylonError } from "@pylonsync/protocol";
import type { Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { Caller } from "../identity/identity.ts";
import { canonicalJson } from "../util/canonical-json.ts";
import { sha256 } from "../util/sha256.ts";

/**
 * How long a retry is answered with the first answer, in milliseconds: a client may be offline for
 * that long.
 */
export const OP_RETENTION_MS = 30 * 24 * 60 * 60 * 1000;

const { ops } = SYSTEM_TABLES;

/** Longest Idempotency-Key, in characters. */
const MAX_KEY_LENGTH = 128;

/** A write that its caller may send again. */
export interface Operation {
  /** What the caller named it. */
  readonly id: string;
  /** What it does: the same name for another purpose is another operation. */
  readonly purpose: string;
  /** What was sent, as JSON: the same name may not be used for something else. */
  readonly request: unknown;
  /**
   * Where the name was sent. An `idempotencyKey` is named by a function of the app, and is the same
   * operation whatever the caller.
   */
  readonly field: "Idempotency-Key" | "op_id" | "idempotencyKey";
}

/**
 * The operation that a request names by its Idempotency-Key, if it does.
 *
 * @throws PylonError INVALID_DATA
 */
export function operationOf(
  headers: Headers,
  purpose: string,
  request: unknown,
): Operation | undefined {
  const id = headers.get("idempotency-key");
  if (id === null) return undefined;
  return operationNamed("Idempotency-Key", id, purpose, request);
}

/**
 * The operation of this name.
 *
 * @throws PylonError INVALID_DATA for a name that can't be one
 */
export function operationNamed(
  field: Operation["field"],
  id: unknown,
  purpose: string,
  request: unknown,
): Operation {
  if (typeof id === "string" && id !== "" && id.length <= MAX_KEY_LENGTH && !id.includes("\0"))
    return { id, purpose, request, field };
  const name = field === "Idempotency-Key" ? `An ${field}` : `"${field}"`;
  throw new PylonError("INVALID_DATA", `${name} must have 1 to ${MAX_KEY_LENGTH} characters.`, {
    field,
  });
}

/** An operation of somebody: under which key it is kept, and what was sent. */
export interface ClaimedOperation {
  readonly key: string;
  readonly fingerprint: string;
  readonly field: Operation["field"];
}

/**
 * An operation as it is kept: the same name by another caller is another operation.
 *
 * @returns null for a caller without an identity. Two of them can't be told apart, and neither may
 *   get the other's answer, or lose a write to it.
 */
export function claimable(caller: Caller, operation: Operation): ClaimedOperation | null {
  const { id, purpose, request, field } = operation;
  const subject = field === "idempotencyKey" ? ["function"] : subjectOf(caller);
  if (subject === null) return null;
  return {
    key: sha256(JSON.stringify([subject, purpose, id])),
    // Clients may send the keys of an object in another order the second time.
    fingerprint: sha256(canonicalJson(request)),
    field,
  };
}

/** Whether operations of the caller are kept. */
export function hasIdentity(caller: Caller): boolean {
  return subjectOf(caller) !== null;
}

/** A list for what is not a user, so that no user's id can be taken for it. */
function subjectOf({ isAdmin, userId, apiKeyId }: Caller): string | readonly string[] | null {
  if (isAdmin) return ["admin"];
  return userId ?? (apiKeyId === null ? null : ["key", apiKeyId]);
}

/**
 * Makes the operation this transaction's own. To look for it first would make every two operations
 * a conflict: what is not there can only be locked together with its neighbours.
 *
 * @returns false when it was applied before
 */
export async function claimOp(
  tx: Transaction,
  { key, fingerprint }: ClaimedOperation,
  now: number,
): Promise<boolean> {
  try {
    await ops.insert(tx, { id: key, answer: null, request: fingerprint, at: now });
    return true;
  } catch (error) {
    if (error instanceof PylonError && error.code === "ID_TAKEN") return false;
    throw error;
  }
}

/**
 * What the operation answered when it was applied.
 *
 * @throws PylonError IDEMPOTENCY_KEY_REUSED when something else was sent under this name
 */
export async function recallAnswer(
  tx: Transaction,
  { key, fingerprint, field }: ClaimedOperation,
): Promise<unknown> {
  const row = await ops.get(tx, key);
  // An older version did not keep what was sent.
  const sent = row?.request ?? null;
  if (sent !== null && sent !== fingerprint)
    throw new PylonError(
      "IDEMPOTENCY_KEY_REUSED",
      `This ${field} has already been used for another request.`,
      {
        field,
        hint: `Generate a new ${field} for each write, and reuse it only with the same body.`,
      },
    );
  const answer = row?.answer ?? null;
  return answer === null ? null : JSON.parse(answer);
}

/** Keeps the answer, in the transaction of the operation's effect. */
export async function rememberAnswer(tx: Transaction, key: string, answer: unknown): Promise<void> {
  await ops.update(tx, key, { answer: JSON.stringify(answer ?? null) });
}

/** Forgets answers that no client will ask for any longer. @returns how many */
export async function forgetOldAnswers(tx: Transaction, now: number): Promise<number> {
  return ops.deleteWhere(tx, ops.isBelow("at", now - OP_RETENTION_MS));
}
