import type { NetInfoModule, NetInfoState } from "./native-modules.ts";

/** The result of `useNetworkStatus`. */
export interface NetworkStatus {
  /** False if the device reports that it is offline, which may be wrong. */
  readonly isOnline: boolean;
  /** The type in NetInfo's terms: `wifi`, `cellular`, `none`; `unknown` before the first report. */
  readonly connectionType: string;
}

const UNKNOWN: NetworkStatus = { isOnline: true, connectionType: "unknown" };

/** The network state of the device, for all subscribers. */
export class Network {
  readonly #netInfo: NetInfoModule | undefined;
  readonly #listeners = new Set<(before: NetworkStatus) => void>();
  #status = UNKNOWN;
  #stop: (() => void) | null = null;

  constructor(netInfo: NetInfoModule | undefined) {
    this.#netInfo = netInfo;
  }

  /** Returns the status. The object is stable until something changes. */
  readonly status = (): NetworkStatus => this.#status;

  /** @returns an unsubscribe function */
  readonly onChange = (listener: (before: NetworkStatus) => void): (() => void) => {
    const own = (before: NetworkStatus): void => listener(before);
    this.#listeners.add(own);
    if (this.#listeners.size === 1)
      this.#stop = this.#netInfo?.addEventListener((state) => this.#take(state)) ?? null;
    return () => {
      if (!this.#listeners.delete(own) || this.#listeners.size > 0) return;
      this.#stop?.();
      this.#stop = null;
    };
  };

  #take({ type, isConnected, isInternetReachable }: NetInfoState): void {
    const before = this.#status;
    const isOnline = isConnected !== false && isInternetReachable !== false;
    if (isOnline === before.isOnline && type === before.connectionType) return;
    this.#status = { isOnline, connectionType: type };
    for (const listener of [...this.#listeners]) listener(before);
  }
}
