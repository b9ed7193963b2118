import { COUNTED_ANSWER_BYTES, MAX_KEPT_ANSWER_BYTES, PylonError } from "@pylonsync/protocol";
import type { Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { Caller } from "../identity/identity.ts";
import { canonicalJson } from "../util/canonical-json.ts";
import { sha256 } from "../util/sha256.ts";

/**
 * How long a retry gets the first response, in milliseconds: a client may be offline for that long.
 */
export const OP_RETENTION_MS = 30 * 24 * 60 * 60 * 1000;

const { ops } = SYSTEM_TABLES;

/** The maximum length of an Idempotency-Key, in characters. */
const MAX_KEY_LENGTH = 128;

/** A write that its caller may send again. */
export interface Operation {
  /** The caller's name for it. */
  readonly id: string;
  /** What it does: the same name with another purpose is another operation. */
  readonly purpose: string;
  /** The request, as JSON: the same name may not be used for a different request. */
  readonly request: unknown;
  /**
   * Where the name was sent. An `idempotencyKey` is chosen by a function of the app, and is the
   * same operation for every caller.
   */
  readonly field: "Idempotency-Key" | "op_id" | "idempotencyKey";
  /** The response, if it is known before the work is done: then it is stored with the claim. */
  readonly answer?: string;
}

/**
 * Returns the operation named by the Idempotency-Key of a request, if there is one.
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
 * Returns the operation with this name.
 *
 * @throws PylonError INVALID_DATA for an invalid name
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

/** An operation of a caller: the key under which it is stored, and a fingerprint of the request. */
export interface ClaimedOperation {
  readonly key: string;
  readonly fingerprint: string;
  readonly field: Operation["field"];
  readonly answer?: string | undefined;
  /** Whose large responses are counted together; null if they are not: those of the admin. */
  readonly subject: string | null;
}

/**
 * Returns the stored form of an operation: the same name used by another caller is another
 * operation.
 *
 * @returns null for a caller without an identity. Such callers can't be told apart, and none of
 *   them may get the response of another, or lose a write to it.
 */
export function claimable(caller: Caller, operation: Operation): ClaimedOperation | null {
  const { id, purpose, request, field, answer } = operation;
  const own = subjectOf(caller);
  const subject = field === "idempotencyKey" ? ["function"] : own;
  if (subject === null) return null;
  return {
    key: sha256(JSON.stringify([subject, purpose, id])),
    // Clients may send the keys of an object in a different order the second time.
    fingerprint: sha256(canonicalJson(request)),
    field,
    answer,
    subject: caller.isAdmin ? null : sha256(JSON.stringify(own ?? subject)),
  };
}

/** Whether operations of the caller are stored. */
export function hasIdentity(caller: Caller): boolean {
  return subjectOf(caller) !== null;
}

/**
 * The identity that operations are stored under: a list unless it is a user, so that no user's id
 * can equal it.
 */
function subjectOf({ isAdmin, userId, apiKeyId }: Caller): string | readonly string[] | null {
  if (isAdmin) return ["admin"];
  return userId ?? (apiKeyId === null ? null : ["key", apiKeyId]);
}

/**
 * Claims the operation for this transaction. Looking it up first would make any two operations
 * conflict, because a missing row can only be locked together with its neighbours.
 *
 * @returns false if it was applied before
 */
export async function claimOp(
  tx: Transaction,
  { key, fingerprint, answer }: ClaimedOperation,
  now: number,
): Promise<boolean> {
  try {
    const stored = answer === undefined ? null : JSON.stringify(answer);
    await ops.insert(tx, {
      id: key,
      answer: stored,
      request: fingerprint,
      at: now,
      subject: null,
      size: null,
    });
    return true;
  } catch (error) {
    if (error instanceof PylonError && error.code === "ID_TAKEN") return false;
    throw error;
  }
}

/**
 * Returns the response that the operation got when it was applied.
 *
 * @throws PylonError IDEMPOTENCY_KEY_REUSED if a different request was sent under this name,
 *   RESULT_NOT_KEPT if the response was too large, or made room for newer ones
 */
export async function storedAnswer(
  tx: Transaction,
  { key, fingerprint, field }: ClaimedOperation,
): Promise<unknown> {
  const row = await ops.get(tx, key);
  // An older version did not store the request.
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
  if (answer === null)
    throw new PylonError(
      "RESULT_NOT_KEPT",
      `The request with this ${field} was applied before, but its response is no longer stored.`,
      { field, hint: "It was not applied again. Read the data that it wrote." },
    );
  return JSON.parse(answer);
}

/**
 * Stores the response, in the same transaction as the operation's effect. Of a response that is too
 * large only the key is stored, so that a retry is still not applied again.
 */
export async function storeAnswer(
  tx: Transaction,
  { key, subject }: Pick<ClaimedOperation, "key" | "subject">,
  answer: unknown,
): Promise<void> {
  const stored = JSON.stringify(answer ?? null);
  const size = Buffer.byteLength(stored);
  if (size > MAX_KEPT_ANSWER_BYTES) return;
  const isCounted = subject !== null && size > COUNTED_ANSWER_BYTES;
  await ops.update(tx, key, isCounted ? { answer: stored, subject, size } : { answer: stored });
}

/** Deletes responses that no client will request any longer. @returns their number */
export async function forgetOldAnswers(tx: Transaction, now: number): Promise<number> {
  return ops.deleteWhere(tx, ops.isBelow("at", now - OP_RETENTION_MS));
}
