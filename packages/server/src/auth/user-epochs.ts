import { createIdFactory, PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { Reader, Store, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { fieldIsUpTo } from "./where.ts";

const TABLE = SYSTEM_TABLES.userEpochs.name;
/** No sign-in takes as long. */
const KEPT_MS = 24 * 60 * 60_000;
/** How long nobody gets in while an account is taken out of somebody's hands; it ends earlier when that is done. */
const CLOSED_MS = 60_000;
const FIRST = "";

/**
 * Which sign-ins of a user are still good. Whatever ends the user's sessions begins a new epoch in the same transaction, and a session is made
 * only in the epoch in which its proof was looked at: so a sign-in that was under way meanwhile can't outlive what ended the others.
 */
export class UserEpochs {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #newId: () => string;

  constructor(store: Store, { now, random }: Platform) {
    this.#store = store;
    this.#now = now;
    this.#newId = createIdFactory(now, random);
  }

  /** To be asked before what proves the sign-in is read. */
  async of(userId: string): Promise<string> {
    return (await this.#read(this.#store, userId)).epoch;
  }

  /** @param closes nobody gets in until `open` @returns the new epoch */
  async begin(tx: Transaction, userId: string, closes = false): Promise<string> {
    const now = this.#now();
    const values = { epoch: this.#newId(), closedUntil: closes ? new Date(now + CLOSED_MS).toISOString() : null, at: new Date(now).toISOString() };
    if (!(await tx.update(TABLE, userId, values))) await tx.insert(TABLE, { id: userId, ...values });
    return values.epoch;
  }

  /** @throws PylonError UNAUTHORIZED when another epoch has begun, or nobody gets in now */
  async check(tx: Transaction, userId: string, epoch: string): Promise<void> {
    const now = await this.#read(tx, userId);
    if (now.epoch === epoch && !now.isClosed) return;
    throw new PylonError("UNAUTHORIZED", "This user's sessions were ended meanwhile.", { hint: "Sign in again." });
  }

  forgetOld(): Promise<number> {
    return this.#store.transact((tx) => tx.deleteWhere(TABLE, fieldIsUpTo("at", this.#now() - KEPT_MS)));
  }

  async #read(reader: Reader, userId: string): Promise<{ readonly epoch: string; readonly isClosed: boolean }> {
    const row = await reader.get(TABLE, userId);
    if (row === null) return { epoch: FIRST, isClosed: false };
    const closedUntil = row["closedUntil"] as string | null;
    return { epoch: row["epoch"] as string, isClosed: closedUntil !== null && Date.parse(closedUntil) > this.#now() };
  }
}
