import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { encodedJson, json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { isoTime } from "../store/system-table.ts";
import type { StoredReplay, ShardReplays } from "./shard-replays.ts";

/** Routes for recordings of shards, for the admin and the users that `record.access` allows. */
export function replayRoutes(replays: ShardReplays): Route[] {
  const all = "/api/shards/:id/replays";
  const one = `${all}/:replay`;
  return [
    {
      method: "GET",
      path: all,
      access: "signed-in",
      scope: "read",
      handle: (context) => list(replays, context),
    },
    {
      method: "GET",
      path: one,
      access: "signed-in",
      scope: "read",
      handle: (context) => download(replays, context),
    },
    {
      method: "DELETE",
      path: one,
      access: "admin",
      scope: "open",
      handle: (context) => remove(replays, context),
    },
  ];
}

async function list(replays: ShardReplays, context: RequestContext): Promise<Answer> {
  const rows = await replays.list(context.param("id"), viewerOf(context));
  return json(rows.map(shown));
}

/** Sends a recording as a file. Its numbers are exact, so the text is sent as it was written. */
async function download(replays: ShardReplays, context: RequestContext): Promise<Answer> {
  const row = await found(replays, context);
  const text = await replays.read(row);
  if (text === null) throw notFound();
  return encodedJson(text).withHeaders({
    "Content-Disposition": `attachment; filename="${row.shard.replace(":", "-")}-${row.id}.json"`,
    "Cache-Control": "private, no-cache",
  });
}

async function remove(replays: ShardReplays, context: RequestContext): Promise<Answer> {
  await replays.delete(await found(replays, context));
  return json({ deleted: true });
}

/** @throws PylonError NOT_FOUND, also if the caller may not play the recording */
async function found(replays: ShardReplays, context: RequestContext): Promise<StoredReplay> {
  const [shard, id] = [context.param("id"), context.param("replay")];
  const row = await replays.get(shard, id, viewerOf(context));
  if (row === null) throw notFound();
  return row;
}

/** Returns the caller's user id; null for the admin, who may play all recordings. */
function viewerOf({ caller }: RequestContext): string | null {
  return caller.isAdmin ? null : caller.userId;
}

function shown(row: StoredReplay): object {
  return {
    id: row.id,
    shard: row.shard,
    started_at: isoTime(row.startedAt),
    ended_at: isoTime(row.endedAt),
    expires_at: isoTime(row.expiresAt),
    from_tick: row.fromTick,
    to_tick: row.toTick,
    tick_rate: row.tickRate,
    players: row.players.length,
    bytes: row.bytes,
    code: row.code,
  };
}

function notFound(): PylonError {
  return new PylonError("NOT_FOUND", "The replay does not exist.", {
    hint: "GET /api/shards/ID/replays lists the replays you may play.",
  });
}
