import type { Timer } from "../platform.ts";
import type { ShardConnection, ShardOutlet } from "./shard-connection.ts";
import type { ShardJoin, Shards } from "./shards.ts";

const HEARTBEAT_MS = 10_000;
const HIGH_WATER_MARK = 64 * 1024;
const encoder = new TextEncoder();

/** The transport of an event stream: each event is a full view. */
class StreamOutlet implements ShardOutlet {
  readonly takesDeltas = false;
  readonly rate: number | null;
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  #isClosed = false;

  constructor(controller: ReadableStreamDefaultController<Uint8Array>, rate: number | null) {
    this.rate = rate;
    this.#controller = controller;
  }

  sendText(): void {
    // Only sent to clients that support deltas.
  }

  sendBytes(): void {
    // The same.
  }

  sendView(tick: number, view: string): void {
    this.#write(`id: ${tick}\ndata: ${view}\n\n`);
  }

  heartbeat(): void {
    if (this.backlog() === 0) this.#write(": heartbeat\n\n");
  }

  backlog(): number {
    return Math.max(0, HIGH_WATER_MARK - (this.#controller.desiredSize ?? HIGH_WATER_MARK));
  }

  /** A stream has no close codes: the client reconnects, and receives the error over HTTP. */
  close(): void {
    if (!this.#isClosed) this.#controller.close();
    this.#isClosed = true;
  }

  #write(text: string): void {
    if (!this.#isClosed) this.#controller.enqueue(encoder.encode(text));
  }
}

/** Limits the open connections of an address. */
export interface StreamCount {
  /** @throws PylonError RATE_LIMITED */
  take(address: string): void;
  release(address: string): void;
}

/**
 * Returns a response with an event stream of a shard's views.
 *
 * @param address the client's address
 * @throws PylonError RATE_LIMITED, and the errors of `join`
 */
export async function openShardStream(
  shards: Shards,
  { rate, ...join }: Omit<ShardJoin, "outlet"> & { readonly rate: number | null },
  count: StreamCount,
  address: string,
): Promise<Response> {
  const { promise: started, resolve } = Promise.withResolvers<StreamOutlet>();
  let connection: ShardConnection | null = null;
  let heartbeat: Timer | null = null;
  let isEnded = false;
  const end = (): void => {
    heartbeat?.cancel();
    if (connection !== null) shards.leave(connection);
    if (!isEnded) count.release(address);
    isEnded = true;
  };
  const stream = new ReadableStream<Uint8Array>(
    { start: (controller) => resolve(new StreamOutlet(controller, rate)), cancel: end },
    new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_MARK }),
  );
  const outlet = await started;
  count.take(address);
  try {
    connection = await shards.join({ ...join, outlet });
  } catch (error) {
    end();
    throw error;
  }
  heartbeat = shards.platform
    .every(HEARTBEAT_MS, () => {
      if (connection?.isOpen === true) outlet.heartbeat();
      else end();
    })
    .unref();
  return new Response(stream, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-cache",
      "X-Accel-Buffering": "no",
    },
  });
}
