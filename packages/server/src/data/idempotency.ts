import { hash } from "node:crypto";
import { PylonError } from "@pylonsync/protocol";
import type { Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { Caller } from "./caller.ts";

/**
 * How long a retry is answered with the first answer, in milliseconds: a client may be offline for
 * that long.
 */
export const OP_RETENTION_MS = 30 * 24 * 60 * 60 * 1000;

const TABLE = SYSTEM_TABLES.ops.name;

/**
 * The key of an operation: the same op_id of another caller, or for another purpose, is another
 * operation.
 */
export function opKey(caller: Caller, purpose: string, opId: string): string {
  const subject = caller.isAdmin ? "admin" : (caller.userId ?? "anonymous");
  return hash("sha256", JSON.stringify([subject, purpose, opId]), "hex");
}

/**
 * Makes the operation this transaction's own. To look for it first would make every two operations
 * a conflict: what is not there can only be locked together with its neighbours.
 *
 * @returns false when it was applied before
 */
export async function claimOp(tx: Transaction, key: string, now: number): Promise<boolean> {
  try {
    await tx.insert(TABLE, { id: key, answer: null, at: new Date(now).toISOString() });
    return true;
  } catch (error) {
    if (error instanceof PylonError && error.code === "ID_TAKEN") return false;
    throw error;
  }
}

/** What the operation answered when it was applied. */
export async function recallAnswer(tx: Transaction, key: string): Promise<unknown> {
  const row = await tx.get(TABLE, key);
  return JSON.parse((row?.["answer"] as string | null | undefined) ?? "null") as unknown;
}

/** Keeps the answer, in the transaction of the operation's effect. */
export async function rememberAnswer(tx: Transaction, key: string, answer: unknown): Promise<void> {
  await tx.update(TABLE, key, { answer: JSON.stringify(answer ?? null) });
}

/** Forgets answers that no client will ask for any more. @returns how many */
export async function forgetOldAnswers(tx: Transaction, now: number): Promise<number> {
  return tx.deleteWhere(TABLE, {
    kind: "compare",
    op: "<",
    left: { kind: "path", root: "data", name: "at" },
    right: { kind: "literal", value: new Date(now - OP_RETENTION_MS).toISOString() },
  });
}
