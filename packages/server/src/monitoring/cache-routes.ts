import { PylonError } from "@pylonsync/protocol";
import { toCachedText, type Cache } from "../cache/cache.ts";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { routeTable } from "../request/route-table.ts";
import { isRecord } from "../util/is-record.ts";

const MAX_KEY = 1024;
const MAX_TTL_SECONDS = 30 * 24 * 60 * 60;

/** Lets an admin read, put and delete values of `ctx.cache`. */
export function cacheRoutes(cache: Cache): Route[] {
  const { get, post, del } = routeTable(cache);
  return [
    post("/api/cache", "admin", put, { body: "rows" }),
    get("/api/cache/:key", "admin", read),
    del("/api/cache/:key", "admin", forget),
  ];
}

async function read(cache: Cache, context: RequestContext): Promise<Answer> {
  const key = context.param("key");
  const value = await cache.get(key);
  if (value !== undefined) return json({ key, value });
  throw new PylonError("NOT_FOUND", "The key is not in the cache.", {
    hint: "It was never set, or has expired.",
  });
}

async function forget(cache: Cache, context: RequestContext): Promise<Answer> {
  await cache.delete(context.param("key"));
  return json({ deleted: true });
}

async function put(cache: Cache, context: RequestContext): Promise<Answer> {
  const body = await context.json({});
  const { key, value, ttl_secs: seconds = MAX_TTL_SECONDS, ...others } = isRecord(body) ? body : {};
  if (typeof key !== "string" || key === "" || key.length > MAX_KEY)
    throw refusal("key", `Use a string of 1 to ${MAX_KEY} characters.`);
  if (value === undefined || toCachedText(value) === undefined)
    throw refusal("value", "Use JSON of at most 1 MiB.");
  if (typeof seconds !== "number" || !(seconds > 0 && seconds <= MAX_TTL_SECONDS))
    throw refusal("ttl_secs", `Use a number of seconds above 0 and at most ${MAX_TTL_SECONDS}.`);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw refusal(unknown.slice(0, 80), "Send key, value and ttl_secs.");
  await cache.set(key, value, seconds * 1000);
  // An unreachable Redis stores nothing, and reports no error.
  return json({ key, stored: (await cache.get(key)) !== undefined });
}

function refusal(field: string, hint: string): PylonError {
  return new PylonError("INVALID_DATA", `The field "${field}" is not valid.`, { field, hint });
}
