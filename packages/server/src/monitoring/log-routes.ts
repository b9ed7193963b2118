import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import type { Route } from "../request/route.ts";
import { LOG_LEVELS, type LogLevel } from "../config/log-level.ts";
import type { LogTail } from "../observe/log-tail.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const HEADERS = {
  "Content-Type": "application/x-ndjson",
  "Cache-Control": "no-store",
  "X-Accel-Buffering": "no",
};

/** The newest log lines of this replica, and with `follow=1` the following ones. */
export function logRoutes(tail: LogTail): Route[] {
  return [
    {
      method: "GET",
      path: "/api/admin/logs",
      access: "admin",
      quiet: true,
      handle: (context) => {
        const [level, limit] = [levelOf(context), limitOf(context)];
        if (isFollowing(context))
          return new Response(tail.follow(level, limit), { headers: HEADERS });
        return new Response(
          tail
            .recent(level, limit)
            .map((line) => `${line}\n`)
            .join(""),
          { headers: HEADERS },
        );
      },
    },
  ];
}

function levelOf(context: RequestContext): LogLevel {
  const given = context.query("level") ?? "debug";
  const level = LOG_LEVELS.find((known) => known === given);
  if (level === undefined)
    throw new PylonError("INVALID_QUERY", `Unknown level "${given}".`, {
      field: "level",
      hint: `Use ${LOG_LEVELS.join(", ")}.`,
    });
  return level;
}

function limitOf(context: RequestContext): number {
  const given = context.query("limit");
  if (given === null) return DEFAULT_LIMIT;
  const limit = Number(given);
  if (!/^\d+$/.test(given) || limit > MAX_LIMIT)
    throw new PylonError("INVALID_QUERY", `limit is "${given}", which is not valid.`, {
      field: "limit",
      hint: `Use a whole number from 0 to ${MAX_LIMIT}.`,
    });
  return limit;
}

function isFollowing(context: RequestContext): boolean {
  const given = context.query("follow") ?? "0";
  if (given !== "0" && given !== "1")
    throw new PylonError("INVALID_QUERY", `follow is "${given}", which is not valid.`, {
      field: "follow",
      hint: "Use 1 or 0.",
    });
  return given === "1";
}
