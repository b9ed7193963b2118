import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";

/**
 * What a server without shards says to who looks for one: clients wait and try again, or give up
 * with a reason.
 */
export function shardsNotAvailable(): PylonError {
  return new PylonError("SHARDS_NOT_AVAILABLE", "This server hosts no shards.");
}

/**
 * Where clients look for shards. There are none: the admin sees an empty list, everything else is
 * refused.
 */
export function shardRoutes(): Route[] {
  const refuse = (): never => {
    throw shardsNotAvailable();
  };
  const list = ({ caller }: RequestContext): Answer => (caller.isAdmin ? json([]) : refuse());
  const refusal = (method: "GET" | "POST", path: string): Route => ({
    method,
    path,
    body: "none",
    access: "anyone",
    scope: "open",
    handle: refuse,
  });
  return [
    { method: "GET", path: "/api/shards", access: "anyone", scope: "open", handle: list },
    refusal("GET", "/api/shards/*"),
    refusal("POST", "/api/shards/*"),
    refusal("GET", "/shards"),
    refusal("GET", "/shards/*"),
  ];
}
