import {
  CLIENT_MESSAGES,
  MAX_SOCKET_MESSAGE_BYTES,
  MAX_TOPIC_LENGTH,
  SOCKET_RATE,
  type ClientMessageType,
} from "@pylonsync/protocol";
import type { Caller } from "../identity/identity.ts";
import { coversKeyScope } from "../identity/key-scope.ts";
import { parseJson } from "../request/body.ts";
import type { MessageRefusal, Subscriber } from "../connections/subscriber.ts";
import { isRecord } from "../util/is-record.ts";
import type { TenantMessage } from "./room-store.ts";

const WINDOW_MS = 1_000;

const TOO_LONG: MessageRefusal = {
  code: "PAYLOAD_TOO_LARGE",
  message: `The message has more than ${MAX_SOCKET_MESSAGE_BYTES} bytes.`,
};
const TOO_MANY: MessageRefusal = {
  code: "RATE_LIMITED",
  message: `A connection may send at most ${SOCKET_RATE.relayed} messages per second.`,
};
const NOT_UNDERSTOOD: MessageRefusal = {
  code: "INVALID_DATA",
  message: "The message is not valid.",
  hint: "See docs/sync.md for the messages of a live socket.",
};
const NOT_SIGNED_IN: MessageRefusal = {
  code: "AUTH_REQUIRED",
  message: "You are not signed in, so the message was not delivered.",
};
const READS_ONLY: MessageRefusal = {
  code: "INSUFFICIENT_SCOPE",
  message: "The API key may not write, so the message was not delivered.",
};

interface Window {
  readonly endsAt: number;
  count: number;
}

/**
 * The rooms whose members receive a user's messages that name no room; null for everyone in the
 * tenant.
 */
export type RoomsOf = (userId: string) => readonly string[] | null;

/**
 * Receives presence and topic messages from clients' sockets and forwards them to those who may
 * receive them.
 */
export class ClientMessages {
  readonly #send: (message: TenantMessage) => Promise<void>;
  readonly #roomsOf: RoomsOf;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #windows = new WeakMap<Subscriber, Window>();

  /** @param now milliseconds, from any starting point */
  constructor(
    send: (message: TenantMessage) => Promise<void>,
    roomsOf: RoomsOf,
    now: () => number,
    onError: (error: unknown) => void,
  ) {
    this.#send = send;
    this.#roomsOf = roomsOf;
    this.#now = now;
    this.#onError = onError;
  }

  /**
   * Handles one message. A message that is invalid, too long, beyond the rate limit, or from a
   * caller who is not signed in is not forwarded.
   *
   * @returns the reason if it is not forwarded; otherwise null
   */
  receive(subscriber: Subscriber, text: string): MessageRefusal | null {
    const { caller } = subscriber;
    if (!subscriber.isOpen) return null;
    if (isLonger(text, MAX_SOCKET_MESSAGE_BYTES)) return TOO_LONG;
    // If the rate limit is reached, a message is not even parsed.
    if (this.#window(subscriber).count >= SOCKET_RATE.relayed) return TOO_MANY;
    const message = relayed(text, caller, this.#roomsOf);
    if ("code" in message) return message;
    this.#window(subscriber).count += 1;
    this.#send(message).catch(this.#onError);
    return null;
  }

  #window(subscriber: Subscriber): Window {
    const now = this.#now();
    const known = this.#windows.get(subscriber);
    if (known !== undefined && known.endsAt > now) return known;
    const window = { endsAt: now + WINDOW_MS, count: 0 };
    this.#windows.set(subscriber, window);
    return window;
  }
}

/** A UTF-16 unit takes at most three bytes of UTF-8. */
function isLonger(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length > bytes / 3 && Buffer.byteLength(text) > bytes);
}

/** The limit of the message's kind; undefined for a kind that clients do not send. */
function limitOf(type: unknown): number | undefined {
  return isClientMessageType(type) ? CLIENT_MESSAGES[type] : undefined;
}

function isClientMessageType(type: unknown): type is ClientMessageType {
  return typeof type === "string" && Object.hasOwn(CLIENT_MESSAGES, type);
}

/**
 * Only the known fields of a message are forwarded; `from` is the sender as the server knows it.
 */
function relayed(text: string, caller: Caller, roomsOf: RoomsOf): TenantMessage | MessageRefusal {
  const from = caller.userId ?? (caller.isAdmin ? "admin" : null);
  if (from === null) return NOT_SIGNED_IN;
  if (!coversKeyScope(caller, "write")) return READS_ONLY;
  let message: unknown;
  try {
    message = parseJson(text);
  } catch {
    return NOT_UNDERSTOOD;
  }
  if (!isRecord(message)) return NOT_UNDERSTOOD;
  const { type, event, topic, data = null } = message;
  const limit = limitOf(type);
  if (limit === undefined) return NOT_UNDERSTOOD;
  if (isLonger(text, limit)) return TOO_LONG;
  const toTenant = (out: object): TenantMessage => ({
    kind: "tenant",
    tenantId: caller.tenantId,
    rooms: caller.userId === null ? null : roomsOf(caller.userId),
    userId: caller.userId,
    about: "said",
    text: JSON.stringify(out),
  });
  if (type === "presence" && event === "update") return toTenant({ type, event, data, from });
  if (type === "topic" && typeof topic === "string" && topic.length <= MAX_TOPIC_LENGTH)
    return toTenant({ type, topic, data, from });
  return NOT_UNDERSTOOD;
}
