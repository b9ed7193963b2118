import type { Platform, Timer } from "../platform.ts";
import { CALLER_SHARE, PylonError, STALL_MS, STALL_WHEN_FULL_MS } from "@pylonsync/protocol";

/** A body on its way in, or an answer on its way out. */
export class Transfer implements Disposable {
  readonly key: string;
  readonly #owner: Transfers;
  readonly #abort: () => void;
  readonly #isRefusable: boolean;
  #bytes = 0;
  #movedAt: number;
  #isOver = false;
  #timer: Timer | null = null;

  constructor(owner: Transfers, key: string, abort: () => void, isRefusable: boolean) {
    this.#owner = owner;
    this.key = key;
    this.#abort = abort;
    this.#isRefusable = isRefusable;
    this.#movedAt = owner.platform.monotonic();
    this.#move();
  }

  /** It was given up, or has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }
  get bytes(): number {
    return this.#bytes;
  }
  /** When it last moved, in milliseconds of the owner's clock. */
  get movedAt(): number {
    return this.#movedAt;
  }

  /**
   * Holds so many bytes more.
   *
   * @throws PylonError RATE_LIMITED when the caller has too many in flight, OVERLOADED when all
   *   callers together have
   */
  add(bytes: number): void {
    if (this.#isOver) return;
    this.#owner.reserve(this, bytes, this.#isRefusable);
    this.#bytes += bytes;
    this.#move();
  }

  /** So many bytes have left. */
  sent(bytes: number): void {
    const left = Math.min(bytes, this.#bytes);
    this.#owner.free(this.key, left);
    this.#bytes -= left;
    this.#move();
  }

  /**
   * It has come to an end at its other side: it can no longer stall, and is held until disposed.
   */
  arrived(): void {
    this.#timer?.cancel();
    this.#movedAt = Infinity;
  }

  /** Gives it up. */
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
 * Bounds the bytes that bodies and answers hold in memory while they are on their way, for each
 * caller and in all. One that stalls is given up: after STALL_MS, and as soon as its room is
 * needed.
 */
export class Transfers {
  readonly #max: number;
  readonly #held = new Map<string, number>();
  readonly #open = new Set<Transfer>();
  readonly platform: Pick<Platform, "monotonic" | "after">;
  #total = 0;
  /** How many were given up because they stalled, and how many were refused, since the start. */
  readonly counts = { stalled: 0, refused: 0 };

  /**
   * @param max bytes in all; a caller has a part of it (CALLER_SHARE)
   */
  constructor(max: number, platform: Pick<Platform, "monotonic" | "after">) {
    this.#max = max;
    this.platform = platform;
  }

  /** Bytes in flight. */
  get total(): number {
    return this.#total;
  }

  /**
   * @param key whose it is
   * @param abort called when it is given up
   * @param isRefusable false: it is counted, and let through where there is no room for it
   */
  open(key: string, abort: () => void, isRefusable = true): Transfer {
    const transfer = new Transfer(
      this,
      key,
      () => {
        this.counts.stalled += 1;
        abort();
      },
      isRefusable,
    );
    this.#open.add(transfer);
    return transfer;
  }

  /** Enough is in flight that one caller may have its part. */
  get isBusy(): boolean {
    return this.#total > this.#max / CALLER_SHARE;
  }

  /**
   * Whether there is room at all for what a caller asks for, before it is made.
   *
   * @throws PylonError RATE_LIMITED, OVERLOADED
   */
  check(key: string): void {
    this.#need(null, key, 0);
  }

  /**
   * What is alone is let through, however large it is: its size has limits of its own.
   *
   * @throws PylonError RATE_LIMITED, OVERLOADED
   */
  reserve(transfer: Transfer, bytes: number, isRefusable: boolean): void {
    const { key } = transfer;
    if (isRefusable) this.#need(transfer, key, bytes);
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

  free(key: string, bytes: number): void {
    this.#total -= bytes;
    const left = (this.#held.get(key) ?? 0) - bytes;
    if (left > 0) this.#held.set(key, left);
    else this.#held.delete(key);
  }

  forget(transfer: Transfer): void {
    this.#open.delete(transfer);
  }

  /** Gives up another that has stalled longest. @param key whose; null: any */
  #makeRoom(other: Transfer | null, key: string | null): boolean {
    let slowest: Transfer | undefined;
    for (const transfer of this.#open) {
      if (transfer === other || transfer.bytes === 0) continue;
      if (key !== null && transfer.key !== key) continue;
      if (slowest === undefined || transfer.movedAt < slowest.movedAt) slowest = transfer;
    }
    if (slowest === undefined || this.platform.monotonic() - slowest.movedAt < STALL_WHEN_FULL_MS)
      return false;
    slowest.abort();
    return true;
  }
}
