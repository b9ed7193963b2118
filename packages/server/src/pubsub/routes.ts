import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { routeTable } from "../request/route-table.ts";
import { isRecord } from "../util/is-record.ts";
import { MAX_KEPT, MAX_MESSAGE, type PubSub } from "./pub-sub.ts";

const MAX_CHANNEL = 256;
const DEFAULT_LIMIT = 50;
/** The limit that older clients may request; a channel keeps fewer. */
const MAX_LIMIT = 1_000;
const HEADERS = {
  "Content-Type": "application/x-ndjson",
  "Cache-Control": "no-store",
  "X-Accel-Buffering": "no",
};

/** Messages between an operator's programs: publish, list channels, read the history, follow. */
export function pubSubRoutes(pubSub: PubSub): Route[] {
  const { get, post } = routeTable(pubSub);
  return [
    post("/api/pubsub/publish", "admin", publish, { body: "rows" }),
    get("/api/pubsub/channels", "admin", (published) =>
      json({ ok: true, result: published.channels() }),
    ),
    get("/api/pubsub/history/:channel", "admin", history),
    get("/api/pubsub/follow/:channel", "admin", follow, { quiet: true }),
  ];
}

async function publish(pubSub: PubSub, context: RequestContext): Promise<Answer> {
  const body = await context.json({});
  const { channel, message, ...others } = isRecord(body) ? body : {};
  if (typeof channel !== "string" || !isChannel(channel))
    throw refusal("channel", `Use a string of 1 to ${MAX_CHANNEL} characters.`);
  if (typeof message !== "string" || message.length > MAX_MESSAGE)
    throw refusal("message", `Use a string of at most ${MAX_MESSAGE} characters.`);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw refusal(unknown.slice(0, 80), "Send channel and message.");
  return json({ ok: true, subscribers: await pubSub.publish(channel, message) });
}

function history(pubSub: PubSub, context: RequestContext): Answer {
  return json({ ok: true, result: pubSub.history(channelOf(context), limitOf(context)) });
}

function follow(pubSub: PubSub, context: RequestContext): Answer {
  return new Response(pubSub.follow(channelOf(context)), { headers: HEADERS });
}

function channelOf(context: RequestContext): string {
  const channel = context.param("channel");
  if (isChannel(channel)) return channel;
  throw refusal("channel", `Use a string of 1 to ${MAX_CHANNEL} characters.`);
}

function isChannel(text: string): boolean {
  return text !== "" && text.length <= MAX_CHANNEL;
}

function limitOf(context: RequestContext): number {
  const given = context.query("limit");
  if (given === null) return DEFAULT_LIMIT;
  if (/^\d{1,4}$/.test(given) && Number(given) <= MAX_LIMIT) return Number(given);
  throw new PylonError("INVALID_QUERY", `limit is "${given.slice(0, 80)}", which is not valid.`, {
    field: "limit",
    hint: `Use a whole number from 0 to ${MAX_LIMIT}; a channel keeps ${MAX_KEPT} messages.`,
  });
}

function refusal(field: string, hint: string): PylonError {
  return new PylonError("INVALID_DATA", `The field "${field}" is not valid.`, {
    field,
    hint,
  });
}
