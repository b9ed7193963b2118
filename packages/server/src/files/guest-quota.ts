import { GUESTS_OF_ADDRESS, MAX_LOOSE_FILES_OF_GUEST, PylonError } from "@pylonsync/protocol";
import type { Caller } from "../identity/identity.ts";
import { networkOf } from "../util/network.ts";
import { RateLimiter } from "../request/rate-limit.ts";
import type { FileRegistry } from "./file-registry.ts";

const DAY_SECONDS = 24 * 60 * 60;
/** Bytes are counted in units of this size, rounded up, so that the counters are small integers. */
const STEP_BYTES = 1024;

/**
 * Limits the uploads of guests: of each guest, by its files that are in no row, and of all guests
 * of one address together, because creating guests costs nothing. Users who have signed in are not
 * limited here.
 */
export class GuestQuota {
  readonly #registry: FileRegistry;
  readonly #maxBytes: number;
  readonly #byAddress: RateLimiter;

  /** @param maxBytes the maximum total bytes of a guest's files that are in no row */
  constructor(registry: FileRegistry, maxBytes: number) {
    this.#registry = registry;
    this.#maxBytes = maxBytes;
    this.#byAddress = new RateLimiter({
      max: Math.ceil((maxBytes * GUESTS_OF_ADDRESS) / STEP_BYTES),
      windowSeconds: DAY_SECONDS,
    });
  }

  /**
   * Checks the quota before an upload.
   *
   * @param size the announced bytes; null if none were announced
   * @returns the maximum size of the upload, in bytes
   * @throws PylonError FILE_QUOTA_REACHED
   */
  async room(caller: Caller, address: string, size: number | null): Promise<number> {
    if (!caller.isGuest || caller.userId === null) return Infinity;
    const { count, bytes } = await this.#registry.loose(caller.userId);
    if (count >= MAX_LOOSE_FILES_OF_GUEST)
      throw reached(
        `A guest may have at most ${MAX_LOOSE_FILES_OF_GUEST} files that are not in a row.`,
      );
    const left = this.#maxBytes - bytes;
    if (left <= 0 || (size ?? 0) > left)
      throw reached(
        `A guest may have at most ${this.#maxBytes} bytes of files that are not in a row.`,
      );
    if (await this.#byAddress.isFull(networkOf(address))) throw addressReached();
    return left;
  }

  /**
   * Counts an upload when it is done, or when its size is known. @throws PylonError
   * FILE_QUOTA_REACHED
   */
  async count(caller: Caller, address: string, bytes: number): Promise<void> {
    if (!caller.isGuest) return;
    await this.#byAddress
      .count(() => networkOf(address), Math.max(1, Math.ceil(bytes / STEP_BYTES)))
      .catch((error: unknown): never => {
        throw error instanceof PylonError ? addressReached() : error;
      });
  }
}

function reached(message: string): PylonError {
  return new PylonError("FILE_QUOTA_REACHED", message, {
    hint: "Use the files in a row, delete some, or sign in.",
  });
}

function addressReached(): PylonError {
  return new PylonError(
    "FILE_QUOTA_REACHED",
    "The guests at this IP address have uploaded too much today.",
    { hint: "Try again tomorrow, or sign in." },
  );
}
