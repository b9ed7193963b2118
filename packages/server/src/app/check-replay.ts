import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { playReplay, readReplay, type ReplayVerdict } from "@pylonsync/functions/simulation";
import { systemPlatform } from "../platform.ts";
import { codeHash } from "./code-hash.ts";
import { loadShard } from "./load-shards.ts";

/** The result of replaying a recorded run. */
export interface ReplayCheck extends ReplayVerdict {
  /** The name of the shard. */
  readonly shard: string;
  readonly from: number;
  readonly to: number;
  /** A hash of the code that recorded the run, and one of the local code; null if unknown. */
  readonly recordedCode: string | null;
  readonly ownCode: string | null;
  /** The duration of the replay in milliseconds. */
  readonly ms: number;
}

/**
 * Replays a recorded run with the code of an app, and compares the state at each checkpoint
 * with that of the server.
 *
 * @param dir the app's folder
 * @param text the content of the downloaded replay
 * @throws TypeError if it is not a replay, or is of another app or another version of its state
 */
export async function checkReplay(dir: string, text: string): Promise<ReplayCheck> {
  const recorded = readReplay(jsonOf(text));
  const { shard, code } = recorded;
  const name = shard.split(":", 1)[0] ?? "";
  const root = resolve(dir);
  const file = [".ts", ".js"].map((end) => join(root, "shards", name + end)).find(existsSync);
  if (file === undefined || !/^[\w-]+$/.test(name))
    throw new TypeError(
      `This is a replay of the shard "${name}", but ${dir} has no shards/${name}.ts.`,
    );
  const player = playReplay(await loadShard(file, root), recorded);
  const started = systemPlatform.monotonic();
  player.seek(player.to);
  const ms = systemPlatform.monotonic() - started;
  const { from, to, verdict } = player;
  return { shard, from, to, ...verdict, recordedCode: code, ownCode: codeHash(file, root), ms };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TypeError("This is not a replay: it is not JSON.", { cause });
  }
}
