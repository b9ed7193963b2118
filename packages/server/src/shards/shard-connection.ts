import {
  encodeSlotFrame,
  SHARD_BACKLOG_BYTES,
  SHARD_STALL_MS,
  CloseCode,
} from "@pylonsync/protocol";
import type { ShardPlayer } from "@pylonsync/functions";
import type { Identity } from "../identity/identity.ts";
import type { ViewChannel } from "./view-channel.ts";

/** The transport under a connection to a shard. */
export interface ShardOutlet {
  /** Whether the client understands deltas, acks and refusals; else it gets whole views alone. */
  readonly takesDeltas: boolean;
  /** Sends a frame of those. */
  sendText(text: string): void;
  /** Sends one in the compact form. */
  sendBytes(bytes: Uint8Array): void;
  /** Sends a whole view to a client that takes nothing else. */
  sendView(tick: number, view: string): void;
  /** Bytes that wait because the reader is slow. */
  backlog(): number;
  close(code: CloseCode, reason: string): void;
}

const RATE_WINDOW_MS = 1_000;
/** After how many steps that changed the view it is sent whole again, to whoever takes deltas. */
const WHOLE_EVERY = 200;

/**
 * One client's connection to a shard. It holds nothing back for a slow reader: steps are left out,
 * and the first one after that is a whole view, the newest.
 */
export class ShardConnection {
  readonly player: ShardPlayer;
  readonly identity: Identity;
  readonly #outlet: ShardOutlet;
  #isOpen = true;
  /** The version of the view that the client has, and the tick that it came with. */
  #version = 0;
  #tick = 0;
  #deltas = 0;
  #ack: number | null = null;
  #sentAck: number | null = null;
  #stalledSince: number | null = null;
  #windowEndsAt = 0;
  #inputs = 0;

  constructor(player: ShardPlayer, identity: Identity, outlet: ShardOutlet) {
    this.player = player;
    this.identity = identity;
    this.#outlet = outlet;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Counts an input. @returns the reason to refuse it; "" for one more of the same second */
  takeInput(now: number, rate: number): string | null {
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + RATE_WINDOW_MS;
      this.#inputs = 0;
    }
    this.#inputs += 1;
    if (this.#inputs <= rate) return null;
    // Told once a second: a flood is not answered by a flood.
    return this.#inputs === rate + 1 ? `This shard takes ${rate} inputs a second.` : "";
  }

  /** An input was applied, or refused by the rules. */
  applied(clientSeq: number | null): void {
    if (clientSeq !== null && clientSeq > (this.#ack ?? -1)) this.#ack = clientSeq;
  }

  /** Tells the client that an input was not taken. */
  refuse(clientSeq: number | null, code: string, message: string): void {
    if (!this.#isOpen || !this.#outlet.takesDeltas) return;
    if (this.#outlet.backlog() > SHARD_BACKLOG_BYTES) return;
    this.#outlet.sendText(JSON.stringify({ refused: clientSeq, code, message }));
  }

  /**
   * Sends what the client does not have yet.
   *
   * @param now milliseconds, of any beginning
   * @returns bytes that were sent; null where a slow reader is left out
   * @throws RangeError for a view that is too large
   */
  deliver(channel: ViewChannel, tick: number, now: number): number | null {
    const isNews = channel.version !== this.#version;
    if (!this.#isOpen || !channel.isShown) return 0;
    if (!isNews && this.#ack === this.#sentAck) return 0;
    if (this.#outlet.backlog() > SHARD_BACKLOG_BYTES) return this.#leaveOut(now);
    this.#stalledSince = null;
    if (!this.#outlet.takesDeltas) {
      if (!isNews) return 0;
      this.#version = channel.version;
      this.#outlet.sendView(tick, channel.whole);
      return channel.whole.length + 8;
    }
    const sent = isNews ? this.#sendNews(channel, tick) : this.#sendText(`{"tick":${tick}`, "");
    if (isNews) this.#tick = tick;
    this.#version = channel.version;
    this.#sentAck = this.#ack;
    return sent;
  }

  close(code: CloseCode, reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#outlet.close(code, reason);
  }

  /** The client is gone. */
  closed(): void {
    this.#isOpen = false;
  }

  /** @returns bytes */
  #sendNews(channel: ViewChannel, tick: number): number {
    const { slots, delta } = channel;
    const hasBase = this.#version > 0 && this.#version === channel.version - 1;
    if (!hasBase || this.#deltas >= WHOLE_EVERY) {
      this.#deltas = 0;
      return this.#sendText(`{"tick":${tick}`, `,"snapshot":${channel.whole}`);
    }
    this.#deltas += 1;
    const base = this.#tick;
    if (slots === null)
      return this.#sendText(`{"tick":${tick}`, `,"base":${base},"delta":${delta}`);
    const ack = this.#ack === this.#sentAck ? null : this.#ack;
    const frame = encodeSlotFrame({ tick, base, ack }, slots);
    this.#outlet.sendBytes(frame);
    return frame.length;
  }

  /** @returns about as many bytes: text beyond ASCII takes more */
  #sendText(head: string, tail: string): number {
    const ack = this.#ack === null || this.#ack === this.#sentAck ? "" : `,"ack":${this.#ack}`;
    const text = `${head}${ack}${tail}}`;
    this.#outlet.sendText(text);
    return text.length;
  }

  #leaveOut(now: number): null {
    this.#stalledSince ??= now;
    if (now - this.#stalledSince >= SHARD_STALL_MS)
      this.close(CloseCode.TRY_AGAIN_LATER, "the client reads too slowly");
    return null;
  }
}
