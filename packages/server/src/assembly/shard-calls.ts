import { PylonError } from "@pylonsync/protocol";
import { createDbReader } from "../functions/db.ts";
import { encodeResult } from "../functions/encode-result.ts";
import type { Runner } from "../functions/runner.ts";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import type { ShardCall } from "../shards/shard-calls.ts";
import type { Base } from "./base.ts";

/**
 * Returns the function that makes the calls of shards: functions run as trusted code or on behalf
 * of a player, and rows are read without policies or with those of the player. A player who is the
 * admin has no more rights than other users.
 */
export function shardCallsOf(
  { store, app, data, options }: Base,
  runner: Runner,
): (call: ShardCall) => Promise<string> {
  const { platform, config } = options;
  const run = async ({ shardId, name, args, caller, signal }: ShardCall): Promise<string> => {
    const definition = app.current.functions.get(name);
    if (definition === undefined)
      throw new PylonError("FN_NOT_FOUND", `The function "${name}" does not exist.`);
    const { json } = await runner.run(name, definition, args, {
      caller: rightsOf(caller),
      readerShare: () => `shard ${shardId}`,
      requestId: platform.uuid(),
      isTrusted: caller === null,
      signal,
    });
    return json;
  };
  const read = ({ shardId, kind, name, args, caller, signal }: ShardCall): Promise<string> =>
    store.snapshot(
      async (reader) => {
        const db = createDbReader(reader, data.model(), {
          caller: rightsOf(caller),
          policies: caller === null ? "bypassed" : "enforced",
          now: platform.now(),
          monotonic: platform.monotonic,
        });
        const value = kind === "get" ? await db.get(name, args) : await db.query(name, args);
        return encodeResult(value).json;
      },
      { caller: `shard ${shardId}`, timeoutMs: config.fnTimeoutMs },
      signal,
    );
  return (call) => (call.kind === "run" ? run(call) : read(call));
}

function rightsOf(caller: Caller | null): Caller {
  return caller === null ? ANONYMOUS : { ...caller, isAdmin: false };
}
