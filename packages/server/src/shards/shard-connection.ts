import {
  SHARD_BACKLOG_BYTES,
  SHARD_STALL_MS,
  CloseCode,
  type ShardRole,
} from "@pylonsync/protocol";
import type { ShardPlayer } from "@pylonsync/functions";
import type { Identity } from "../identity/identity.ts";
import type { InterestChanges } from "./interest-view.ts";
import type { ViewChannel } from "./view-channel.ts";

/** The transport of a connection to a shard. */
export interface ShardOutlet {
  /** Whether the client supports deltas, acks and rejections; otherwise it gets only full views. */
  readonly takesDeltas: boolean;
  /** The maximum views per second that the client requested; null or undefined: no limit. */
  readonly rate?: number | null;
  /** Sends a text frame, to a client that supports deltas. */
  sendText(text: string): void;
  /**
   * Sends a frame in the binary form, to a client that supports deltas.
   *
   * @param bytes are overwritten once the call has returned
   */
  sendBytes(bytes: Uint8Array): void;
  /** Sends a full view to a client that does not support deltas. */
  sendView(tick: number, view: string): void;
  /** Returns the number of bytes that are buffered for a slow reader. */
  backlog(): number;
  close(code: CloseCode, reason: string): void;
}

/** The size of the tick before a full view. */
const HEADER_BYTES = 8;
const RATE_WINDOW_MS = 1_000;
/**
 * The number of deltas after which a client is sent a full view again.
 */
const FULL_VIEW_INTERVAL = 200;

/**
 * A client's connection to a shard. Nothing is queued for a slow reader: steps are skipped, and the
 * next frame is the newest full view.
 */
export class ShardConnection {
  readonly player: ShardPlayer;
  readonly identity: Identity;
  readonly role: ShardRole;
  readonly #outlet: ShardOutlet;
  #isOpen = true;
  /** The version of the client's view, and the tick of its frame. */
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

  /** The transport. */
  get outlet(): ShardOutlet {
    return this.#outlet;
  }

  /** Counts an input. @returns null: accepted; else the reason, "" if it was already reported */
  takeInput(now: number, rate: number): string | null {
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + RATE_WINDOW_MS;
      this.#inputs = 0;
    }
    this.#inputs += 1;
    if (this.#inputs <= rate) return null;
    // Reported once per second, so that a flood of inputs does not cause a flood of responses.
    return this.#inputs === rate + 1 ? `This shard accepts ${rate} inputs per second.` : "";
  }

  /** Records that an input was applied, or rejected by the app. */
  applied(clientSeq: number | null): void {
    if (clientSeq !== null && clientSeq > (this.#ack ?? -1)) this.#ack = clientSeq;
  }

  /** Notifies the client that an input was rejected. */
  refuse(clientSeq: number | null, code: string, message: string): void {
    if (!this.#isOpen || !this.#outlet.takesDeltas) return;
    if (this.#outlet.backlog() > SHARD_BACKLOG_BYTES) return;
    this.#outlet.sendText(JSON.stringify({ refused: clientSeq, code, message }));
  }

  /**
   * Sends the view if the client does not have its current version.
   *
   * @param now monotonic time in milliseconds
   * @returns the number of bytes sent; null if the step was skipped for a slow reader
   * @throws RangeError if the view is too large
   */
  deliver(channel: ViewChannel, tick: number, now: number): number | null {
    const isChanged = channel.version !== this.#version;
    if (!this.#isOpen || !channel.isShown) return 0;
    if (!isChanged && this.#ack === this.#sentAck) return 0;
    if (!this.#hasRoom(now)) return null;
    if (!this.#outlet.takesDeltas) {
      if (!isChanged) return 0;
      this.#version = channel.version;
      this.#outlet.sendView(tick, channel.whole);
      return channel.whole.length + HEADER_BYTES;
    }
    const sent = isChanged
      ? this.#sendChange(channel, tick)
      : this.#sendText(`{"tick":${tick}`, "");
    if (isChanged) this.#tick = tick;
    this.#version = channel.version;
    this.#sentAck = this.#ack;
    return sent;
  }

  /**
   * Sends changes of nearby things. For a slow reader they remain pending.
   *
   * @param next returns the changes and marks them as sent; null if there are none
   * @returns the same as `deliver`
   */
  deliverChanges(next: () => InterestChanges | null, tick: number, now: number): number | null {
    if (!this.#isOpen) return 0;
    if (!this.#hasRoom(now)) return null;
    const changes = next();
    if (!this.#outlet.takesDeltas) {
      if (changes === null) return 0;
      this.#outlet.sendView(tick, changes.json);
      return changes.json.length + HEADER_BYTES;
    }
    if (changes === null && this.#ack === this.#sentAck) return 0;
    const base = changes?.kind === "delta" ? `,"base":${this.#tick}` : "";
    const tail = changes === null ? "" : `${base},"${changes.kind}":${changes.json}`;
    const sent = this.#sendText(`{"tick":${tick}`, tail);
    if (changes !== null) this.#tick = tick;
    this.#sentAck = this.#ack;
    return sent;
  }

  /** Makes the next frame a full view, with the last ack. */
  forgetView(): void {
    this.#version = 0;
    this.#sentAck = null;
  }

  close(code: CloseCode, reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#outlet.close(code, reason);
  }

  /** Called when the client has disconnected. */
  closed(): void {
    this.#isOpen = false;
  }

  /** @returns the number of bytes sent */
  #sendChange(channel: ViewChannel, tick: number): number {
    const { frames, delta } = channel;
    const hasBase = this.#version > 0 && this.#version === channel.version - 1;
    if (!hasBase || this.#deltas >= FULL_VIEW_INTERVAL) {
      this.#deltas = 0;
      return this.#sendText(`{"tick":${tick}`, `,"snapshot":${channel.whole}`);
    }
    this.#deltas += 1;
    const base = this.#tick;
    if (frames === null)
      return this.#sendText(`{"tick":${tick}`, `,"base":${base},"delta":${delta}`);
    const ack = this.#ack === this.#sentAck ? null : this.#ack;
    const frame = frames.frame(tick, base, ack);
    this.#outlet.sendBytes(frame);
    return frame.length;
  }

  /** @returns the approximate number of bytes: characters beyond ASCII count as one */
  #sendText(head: string, tail: string): number {
    const ack = this.#ack === null || this.#ack === this.#sentAck ? "" : `,"ack":${this.#ack}`;
    const text = `${head}${ack}${tail}}`;
    this.#outlet.sendText(text);
    return text.length;
  }

  /** Whether the client has read enough for another frame. A client that stalls is closed. */
  #hasRoom(now: number): boolean {
    if (this.#outlet.backlog() <= SHARD_BACKLOG_BYTES) {
      if (this.#stalledSince !== null) this.#stalledSince = null;
      return true;
    }
    this.#stalledSince ??= now;
    if (now - this.#stalledSince >= SHARD_STALL_MS)
      this.close(CloseCode.TRY_AGAIN_LATER, "the client reads too slowly");
    return false;
  }
}
