import { isServerMessage } from "@pylonsync/protocol";
import type { EndReason, TransportEvents } from "./transport.ts";

/**
 * Handles one message of a socket or an event stream.
 *
 * @returns why the connection ends, or undefined if it continues. Messages of unknown types are
 *   ignored.
 */
export function receive(text: string, events: TransportEvents): EndReason | undefined {
  const message = parseJson(text);
  if (!isServerMessage(message)) return undefined;
  if ("kind" in message) events.onChanges([message]);
  else if (message.type === "hello") events.onHello(message);
  else if (message.type === "resync") return "resync";
  else events.onMessage(message);
  return undefined;
}

/** @returns null for invalid JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
