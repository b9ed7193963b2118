import type { Platform, Timer } from "../platform.ts";
import { CALLER_SHARE, PylonError, STALL_MS, STALL_WHEN_FULL_MS } from "@pylonsync/protocol";

/** A body that is being received, or a response that is being sent. */
export class Transfer implements Disposable {
  readonly key: string;
  readonly #owner: Transfers;
  readonly #abort: () => void;
  #bytes = 0;
  #movedAt: number;
  #isOver = false;
  #timer: Timer | null = null;

  constructor(owner: Transfers, key: string, abort: () => void) {
    this.#owner = owner;
    this.key = key;
    this.#abort = abort;
    this.#movedAt = owner.platform.monotonic();
    this.#move();
  }

  /** Whether it was aborted, or has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }
  get bytes(): number {
    return this.#bytes;
  }
  /** When it last made progress, in milliseconds of the owner's clock. */
  get movedAt(): number {
    return this.#movedAt;
  }

  /**
   * Counts this many more bytes as held.
   *
   * @throws PylonError RATE_LIMITED when the caller has too many in flight, OVERLOADED when all
   *   callers together have
   */
  add(bytes: number): void {
    if (this.#isOver) return;
    this.#owner.reserve(this, bytes);
    this.#bytes += bytes;
    this.#move();
  }

  /** Counts this many bytes as sent. */
  sent(bytes: number): void {
    const left = Math.min(bytes, this.#bytes);
    this.#owner.free(this.key, left);
    this.#bytes -= left;
    this.#move();
  }

  /** Marks a body as received: it can no longer stall, and is held until disposed. */
  arrived(): void {
    this.#timer?.cancel();
    this.#movedAt = Infinity;
  }

  /** Aborts it. */
  abort(): void {
    this[Symbol.dispose]();
    this.#abort();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#owner.free(this.key, this.#bytes);
    this.#bytes = 0;
    this.#owner.forget(this);
  }

  #move(): void {
    if (this.#isOver) return;
    const { platform } = this.#owner;
    this.#movedAt = platform.monotonic();
    this.#timer?.cancel();
    this.#timer = platform.after(STALL_MS, () => this.abort()).unref();
  }
}

/**
 * Starts to count a response that waits for its reader.
 *
 * @throws PylonError RATE_LIMITED, OVERLOADED when there is no room for it
 */
export type OpenTransfer = (abort: () => void) => Transfer;

type WhenFull = "refuse" | "disconnect";

/**
 * Limits the bytes of bodies and responses that are held in memory during their transfer, per
 * caller and in total. A stalled transfer is aborted: after STALL_MS, or earlier if its memory is
 * needed.
 */
export class Transfers {
  readonly #max: number;
  readonly #whenFull: WhenFull;
  readonly #held = new Map<string, number>();
  readonly #open = new Set<Transfer>();
  readonly platform: Pick<Platform, "monotonic" | "after">;
  #total = 0;
  /** The number of stalled transfers that were aborted, and of rejected ones, since the start. */
  readonly counts = { stalled: 0, refused: 0 };

  /**
   * @param max the maximum number of bytes in total; a caller may use a part of it (CALLER_SHARE)
   * @param whenFull whether a transfer is rejected if there is no room for it, or the slowest one
   *   of the caller with the most is aborted, because the request of this one has had its effects
   */
  constructor(
    max: number,
    platform: Pick<Platform, "monotonic" | "after">,
    whenFull: WhenFull = "refuse",
  ) {
    this.#max = max;
    this.#whenFull = whenFull;
    this.platform = platform;
  }

  /** The number of bytes in flight. */
  get total(): number {
    return this.#total;
  }

  /**
   * @param key the caller's key
   * @param abort called when the transfer is aborted
   */
  open(key: string, abort: () => void): Transfer {
    const transfer = new Transfer(this, key, () => {
      this.counts.stalled += 1;
      abort();
    });
    this.#open.add(transfer);
    return transfer;
  }

  /** Whether so much is in flight that a single caller could have used up its share. */
  get isBusy(): boolean {
    return this.#total > this.#max / CALLER_SHARE;
  }

  /**
   * Checks whether there is any room for a caller's response, before it is created.
   *
   * @throws PylonError RATE_LIMITED, OVERLOADED
   */
  check(key: string): void {
    this.#need(null, key, 0);
  }

  /**
   * A transfer that is alone is never rejected, however large it is: its size has separate limits.
   *
   * @throws PylonError RATE_LIMITED, OVERLOADED
   */
  reserve(transfer: Transfer, bytes: number): void {
    const { key } = transfer;
    if (this.#whenFull === "refuse") this.#need(transfer, key, bytes);
    else this.#disconnectFor(transfer, bytes);
    this.#total += bytes;
    this.#held.set(key, (this.#held.get(key) ?? 0) + bytes);
  }

  #need(transfer: Transfer | null, key: string, bytes: number): void {
    const own = transfer?.bytes ?? 0;
    const held = (): number => this.#held.get(key) ?? 0;
    while (held() > own && held() + bytes > this.#max / CALLER_SHARE) {
      if (this.#makeRoom(transfer, key)) continue;
      this.counts.refused += 1;
      throw new PylonError("RATE_LIMITED", "Your requests have too many bytes in flight.", {
        hint: "Wait for the responses to your requests, and read them.",
        extra: { retry_after_secs: 1 },
      });
    }
    while (this.#total > own && this.#total + bytes > this.#max) {
      if (this.#makeRoom(transfer, null)) continue;
      this.counts.refused += 1;
      throw new PylonError("OVERLOADED", "The server has too many bytes in flight.", {
        hint: "Try again in 1 s.",
        extra: { retry_after_secs: 1 },
      });
    }
  }

  /** Makes room by disconnecting the slowest reader of the caller who holds the most. */
  #disconnectFor(transfer: Transfer, bytes: number): void {
    while (this.#total + bytes > this.#max) {
      if (this.#makeRoom(transfer, null)) continue;
      const slowest = this.#slowest(transfer, this.#largestKey(transfer));
      if (slowest === undefined) return;
      slowest.abort();
    }
  }

  /** Returns the caller who holds the most, apart from this transfer. */
  #largestKey(except: Transfer): string | null {
    let largest: string | null = null;
    let most = 0;
    for (const [key, held] of this.#held) {
      const others = key === except.key ? held - except.bytes : held;
      if (others <= most) continue;
      most = others;
      largest = key;
    }
    return largest;
  }

  free(key: string, bytes: number): void {
    this.#total -= bytes;
    const left = (this.#held.get(key) ?? 0) - bytes;
    if (left > 0) this.#held.set(key, left);
    else this.#held.delete(key);
  }

  forget(transfer: Transfer): void {
    this.#open.delete(transfer);
  }

  /** Aborts the other transfer that has stalled longest. @param key the caller's key; null: any */
  #makeRoom(other: Transfer | null, key: string | null): boolean {
    const slowest = this.#slowest(other, key);
    if (slowest === undefined || this.platform.monotonic() - slowest.movedAt < STALL_WHEN_FULL_MS)
      return false;
    slowest.abort();
    return true;
  }

  /** Returns the other transfer that has stalled longest. @param key the caller's key; null: any */
  #slowest(other: Transfer | null, key: string | null): Transfer | undefined {
    let slowest: Transfer | undefined;
    for (const transfer of this.#open) {
      if (transfer === other || transfer.bytes === 0) continue;
      if (key !== null && transfer.key !== key) continue;
      if (slowest === undefined || transfer.movedAt < slowest.movedAt) slowest = transfer;
    }
    return slowest;
  }
}
