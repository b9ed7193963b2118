import { hash } from "node:crypto";
import type { Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { Caller } from "./caller.ts";

/** How long a retry is answered with the first answer, in milliseconds: a client may be offline for that long. */
export const OP_RETENTION_MS = 30 * 24 * 60 * 60 * 1000;

const TABLE = SYSTEM_TABLES.ops.name;

/** The key of an operation: the same op_id of another caller, or for another purpose, is another operation. */
export function opKey(caller: Caller, purpose: string, opId: string): string {
  const subject = caller.isAdmin ? "admin" : (caller.userId ?? "anonymous");
  return hash("sha256", JSON.stringify([subject, purpose, opId]), "hex");
}

/** The first answer to this operation, or undefined when it was never applied. */
export async function recallAnswer(tx: Transaction, key: string): Promise<{ readonly answer: unknown } | undefined> {
  const row = await tx.get(TABLE, key);
  return row === null ? undefined : { answer: JSON.parse(row["answer"] as string) as unknown };
}

/** Keeps the answer, in the transaction of the operation's effect. */
export async function rememberAnswer(tx: Transaction, key: string, answer: unknown, now: number): Promise<void> {
  await tx.insert(TABLE, { id: key, answer: JSON.stringify(answer ?? null), at: new Date(now).toISOString() });
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
