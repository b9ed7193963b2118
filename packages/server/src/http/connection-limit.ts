import { PylonError } from "@pylonsync/protocol";
import { networkOf } from "../util/network.ts";

/** Counts open sockets and streams by client address, so that one machine can't use all. */
export class ConnectionLimit {
  readonly #max: number;
  readonly #open = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** @throws PylonError RATE_LIMITED */
  take(address: string): void {
    const network = networkOf(address);
    const open = this.#open.get(network) ?? 0;
    if (open >= this.#max) {
      throw new PylonError(
        "RATE_LIMITED",
        `This IP address already has ${open} open connections.`,
        {
          hint: "Close connections, or raise PYLON_MAX_CONNECTIONS_PER_IP.",
          extra: { retry_after_secs: 5 },
        },
      );
    }
    this.#open.set(network, open + 1);
  }

  release(address: string): void {
    const network = networkOf(address);
    const open = this.#open.get(network) ?? 0;
    if (open <= 1) this.#open.delete(network);
    else this.#open.set(network, open - 1);
  }
}
