import { ServerMessageSchema } from "@pylonsync/protocol";
import * as v from "valibot";
import type { EndReason, TransportEvents } from "./transport.ts";

/**
 * Takes one message of a socket or an event stream.
 *
 * @returns how the connection ends by it, or undefined when it goes on. A message of a kind that is
 *   not known is ignored.
 */
export function receive(text: string, events: TransportEvents): EndReason | undefined {
  const parsed = v.safeParse(ServerMessageSchema, parseJson(text));
  if (!parsed.success) return undefined;
  const message = parsed.output;
  if ("kind" in message) events.onChanges([message]);
  else if (message.type === "hello") events.onHello(message);
  else if (message.type === "resync") return "resync";
  else events.onMessage(message);
  return undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
