import { PylonError } from "@pylonsync/protocol";

/** Counts open sockets and streams by client address, so that one machine can't take all. */
export class ConnectionLimit {
  readonly #max: number;
  readonly #open = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** @throws PylonError RATE_LIMITED */
  take(address: string): void {
    const open = this.#open.get(address) ?? 0;
    if (open >= this.#max) {
      throw new PylonError("RATE_LIMITED", `This address has ${open} connections open.`, {
        hint: "Close some, or raise PYLON_MAX_CONNECTIONS_PER_IP.",
        extra: { retry_after_secs: 5 },
      });
    }
    this.#open.set(address, open + 1);
  }

  release(address: string): void {
    const open = this.#open.get(address) ?? 0;
    if (open <= 1) this.#open.delete(address);
    else this.#open.set(address, open - 1);
  }
}
