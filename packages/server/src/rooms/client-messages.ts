import { MAX_SOCKET_MESSAGE_BYTES, MAX_TOPIC_LENGTH, SOCKET_RATE } from "@pylonsync/protocol";
import type { Caller } from "../data/caller.ts";
import { coversKeyScope } from "../request/key-scope.ts";
import { parseJson } from "../request/body.ts";
import type { Subscriber } from "../sync/subscriber.ts";
import type { TenantMessage } from "./room-store.ts";

const WINDOW_MS = 1_000;

interface Window {
  readonly endsAt: number;
  count: number;
}

/** Takes presence and topic messages from clients' sockets and sends them on to their tenant. */
export class ClientMessages {
  readonly #send: (message: TenantMessage) => Promise<void>;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #windows = new WeakMap<Subscriber, Window>();

  /** @param now milliseconds, of any beginning */
  constructor(
    send: (message: TenantMessage) => Promise<void>,
    now: () => number,
    onError: (error: unknown) => void,
  ) {
    this.#send = send;
    this.#now = now;
    this.#onError = onError;
  }

  /**
   * One message. What is not understood, too long, too much, or from somebody who is not signed in,
   * is ignored.
   */
  receive(subscriber: Subscriber, text: string): void {
    const { caller } = subscriber;
    if (!subscriber.isOpen) return;
    // No character takes more than three bytes of UTF-8.
    const isTooLong =
      text.length > MAX_SOCKET_MESSAGE_BYTES ||
      (text.length > MAX_SOCKET_MESSAGE_BYTES / 3 &&
        Buffer.byteLength(text) > MAX_SOCKET_MESSAGE_BYTES);
    if (isTooLong || this.#count(subscriber) > SOCKET_RATE.relayed) return;
    const message = relayed(text, caller);
    if (message !== undefined) this.#send(message).catch(this.#onError);
  }

  /** @returns how many this window has, with this one */
  #count(subscriber: Subscriber): number {
    const now = this.#now();
    const known = this.#windows.get(subscriber);
    const window =
      known === undefined || known.endsAt <= now ? { endsAt: now + WINDOW_MS, count: 0 } : known;
    window.count += 1;
    this.#windows.set(subscriber, window);
    return window.count;
  }
}

/** Only what we know of a message goes on; `from` is who the server knows the sender to be. */
function relayed(text: string, caller: Caller): TenantMessage | undefined {
  const from = caller.userId ?? (caller.isAdmin ? "admin" : null);
  if (from === null || !coversKeyScope(caller, "write")) return undefined;
  let message: unknown;
  try {
    message = parseJson(text);
  } catch {
    return undefined;
  }
  if (typeof message !== "object" || message === null) return undefined;
  const { type, event, topic, data = null } = message as Readonly<Record<string, unknown>>;
  const toTenant = (out: object): TenantMessage => ({
    kind: "tenant",
    tenantId: caller.tenantId,
    text: JSON.stringify(out),
  });
  if (type === "presence" && event === "update") return toTenant({ type, event, data, from });
  if (type === "topic" && typeof topic === "string" && topic.length <= MAX_TOPIC_LENGTH)
    return toTenant({ type, topic, data, from });
  return undefined;
}
