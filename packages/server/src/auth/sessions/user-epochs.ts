import { createIdFactory, PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { Reader, Store, Transaction } from "../../store/store.ts";
import { type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";

const EPOCHS = SYSTEM_TABLES.userEpochs;
/** Longer than any sign-in takes. */
const KEPT_MS = 24 * 60 * 60_000;
/**
 * The maximum time for which sign-ins are rejected while access to an account is revoked; it ends
 * earlier when that is done.
 */
const CLOSED_MS = 60_000;
const FIRST = "";

/**
 * Decides which sign-ins of a user are still valid. Revoking the user's sessions starts a new epoch
 * in the same transaction, and a session is created only in the epoch in which its proof was
 * checked. So a sign-in that was in progress can't outlive the revocation.
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

  /** Call this before the proof of the sign-in is read. */
  async of(userId: string): Promise<string> {
    return (await this.#read(this.#store, userId)).epoch;
  }

  /**
   * Starts a new epoch.
   *
   * @param closes whether sign-ins are rejected until the next epoch, for at most a minute
   * @returns the new epoch
   */
  async begin(tx: Transaction, userId: string, closes = false): Promise<string> {
    const epoch = this.#newId();
    await this.#write(tx, userId, {
      epoch,
      closedUntil: closes ? this.#now() + CLOSED_MS : null,
    });
    return epoch;
  }

  /**
   * Sets the user that a guest becomes, permanently: of two sign-ins with the same guest, the
   * second fails. An interrupted transfer to another user may be continued.
   *
   * @throws PylonError UNAUTHORIZED when the guest has become another user
   */
  async become(tx: Transaction, guestId: string, userId: string): Promise<void> {
    const before = (await EPOCHS.get(tx, guestId))?.becomes ?? null;
    if (before !== null && (before !== userId || userId === guestId))
      throw new PylonError("UNAUTHORIZED", "This guest has become a user in the meantime.", {
        hint: "Sign in again.",
      });
    await this.#write(tx, guestId, { becomes: userId });
  }

  /** @throws PylonError UNAUTHORIZED when another epoch has started, or sign-ins are rejected */
  async check(tx: Transaction, userId: string, epoch: string): Promise<void> {
    const now = await this.#read(tx, userId);
    if (now.epoch === epoch && !now.isClosed) return;
    throw new PylonError("UNAUTHORIZED", "This user's sessions were revoked in the meantime.", {
      hint: "Sign in again.",
    });
  }

  /** Deletes epochs that no pending sign-in can refer to. @returns their number */
  forgetOld(): Promise<number> {
    return this.#store.transact((tx) =>
      EPOCHS.deleteWhere(tx, EPOCHS.isUpTo("at", this.#now() - KEPT_MS)),
    );
  }

  async #write(
    tx: Transaction,
    userId: string,
    patch: Partial<Omit<RowOf<typeof EPOCHS>, "id" | "at">>,
  ): Promise<void> {
    const values = { ...patch, at: this.#now() };
    if (!(await EPOCHS.update(tx, userId, values)))
      await EPOCHS.insert(tx, {
        id: userId,
        epoch: FIRST,
        closedUntil: null,
        becomes: null,
        ...values,
      });
  }

  async #read(
    reader: Reader,
    userId: string,
  ): Promise<{ readonly epoch: string; readonly isClosed: boolean }> {
    const row = await EPOCHS.get(reader, userId);
    if (row === null) return { epoch: FIRST, isClosed: false };
    const { epoch, closedUntil } = row;
    return { epoch, isClosed: closedUntil !== null && closedUntil > this.#now() };
  }
}
