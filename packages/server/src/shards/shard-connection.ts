import {
  SHARD_BACKLOG_BYTES,
  SHARD_STALL_MS,
  CloseCode,
  type ShardRole,
} from "@pylonsync/protocol";
import type { ShardPlayer } from "@pylonsync/functions";
import type { Identity } from "../identity/identity.ts";
import type { InterestNews } from "./interest-view.ts";
import type { ViewChannel } from "./view-channel.ts";

/** The transport under a connection to a shard. */
export interface ShardOutlet {
  /** Whether the client understands deltas, acks and refusals; else it gets whole views alone. */
  readonly takesDeltas: boolean;
  /** Views a second that the client wants at most; null or undefined: all that there are. */
  readonly rate?: number | null;
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

/** Of the tick before a whole view. */
const HEADER_BYTES = 8;
const RATE_WINDOW_MS = 1_000;
/**
 * After how many steps that changed the view it is sent whole again, to clients that take deltas.
 */
const WHOLE_EVERY = 200;

/**
 * One client's connection to a shard. It holds nothing back for a slow reader: steps are left out,
 * and the first one after that is a whole view, the newest.
 */
export class ShardConnection {
  readonly player: ShardPlayer;
  readonly identity: Identity;
  readonly role: ShardRole;
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

  constructor(
    player: ShardPlayer,
    identity: Identity,
    outlet: ShardOutlet,
    role: ShardRole = "player",
  ) {
    this.role = role;
    this.player = player;
    this.identity = identity;
    this.#outlet = outlet;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The transport, for the thread that its shard runs on. */
  get outlet(): ShardOutlet {
    return this.#outlet;
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
    return this.#inputs === rate + 1 ? `This shard accepts ${rate} inputs per second.` : "";
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
      return channel.whole.length + HEADER_BYTES;
    }
    const sent = isNews ? this.#sendNews(channel, tick) : this.#sendText(`{"tick":${tick}`, "");
    if (isNews) this.#tick = tick;
    this.#version = channel.version;
    this.#sentAck = this.#ack;
    return sent;
  }

  /**
   * Sends what is near and new. What a slow reader is not sent stays new.
   *
   * @param next what to send, which is then taken as sent; null for nothing
   * @returns as `deliver`
   */
  deliverNews(next: () => InterestNews | null, tick: number, now: number): number | null {
    if (!this.#isOpen) return 0;
    if (this.#outlet.backlog() > SHARD_BACKLOG_BYTES) return this.#leaveOut(now);
    this.#stalledSince = null;
    const news = next();
    if (!this.#outlet.takesDeltas) {
      if (news === null) return 0;
      this.#outlet.sendView(tick, news.json);
      return news.json.length + HEADER_BYTES;
    }
    if (news === null && this.#ack === this.#sentAck) return 0;
    const base = news?.kind === "delta" ? `,"base":${this.#tick}` : "";
    const tail = news === null ? "" : `${base},"${news.kind}":${news.json}`;
    const sent = this.#sendText(`{"tick":${tick}`, tail);
    if (news !== null) this.#tick = tick;
    this.#sentAck = this.#ack;
    return sent;
  }

  /** What comes next is a whole view. */
  forgetView(): void {
    this.#version = 0;
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
    const frame = channel.slotFrame(slots, tick, base, ack);
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
