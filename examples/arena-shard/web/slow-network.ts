import type { ConnectShardOptions } from "@pylonsync/sync/shards";

type Platform = NonNullable<ConnectShardOptions["platform"]>;
type Socket = ReturnType<Platform["openSocket"]>;

/** The simulated faults of the network. */
export interface NetworkSettings {
  /** The added round-trip time, in milliseconds. */
  readonly pingMs: number;
  /** The share of lost packets: 0 to 1. */
  readonly loss: number;
}

/**
 * Slows the connection of a shard down as configured by `settings`. Over a WebSocket nothing is
 * lost for good: a lost packet is sent again a round trip later, and everything after it waits.
 */
export function slowNetwork(settings: () => NetworkSettings): Platform {
  return {
    random: Math.random,
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    openSocket: (url, protocols) => {
      const socket = new WebSocket(url, protocols);
      socket.binaryType = "arraybuffer";
      return slowSocket(socket, new Line(settings), new Line(settings));
    },
  };
}

/** A socket whose events and messages are delayed. */
function slowSocket(socket: WebSocket, up: Line, down: Line): Socket {
  const slow: Socket = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: (text) =>
      up.pass(() => {
        if (socket.readyState === WebSocket.OPEN) socket.send(text);
      }),
    close: () => socket.close(),
  };
  socket.addEventListener("open", () => down.pass(() => slow.onopen?.()));
  socket.addEventListener("message", (event) => down.pass(() => slow.onmessage?.(event)));
  socket.addEventListener("close", (event) => down.pass(() => slow.onclose?.(event)));
  socket.addEventListener("error", () => slow.onerror?.());
  return slow;
}

/** One direction: everything arrives, in order. */
class Line {
  readonly #settings: () => NetworkSettings;
  readonly #onTheWay: (() => void)[] = [];
  #lastArrivalMs = 0;

  constructor(settings: () => NetworkSettings) {
    this.#settings = settings;
  }

  pass(arrive: () => void): void {
    const { pingMs, loss } = this.#settings();
    const nowMs = performance.now();
    const travelMs = pingMs / 2 + (Math.random() < loss ? pingMs : 0);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + travelMs);
    if (this.#lastArrivalMs <= nowMs && this.#onTheWay.length === 0) {
      arrive();
      return;
    }
    this.#onTheWay.push(arrive);
    setTimeout(() => this.#onTheWay.shift()?.(), this.#lastArrivalMs - nowMs);
  }
}
