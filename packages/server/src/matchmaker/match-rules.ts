import { PylonError } from "@pylonsync/protocol";
import type { MatchRules, ShardDefinition } from "@pylonsync/functions";
import type { FormingRules } from "./form-matches.ts";

/** The matchmaking rules of a type of shard, with defaults applied. */
export interface FullRules extends FormingRules {
  readonly modes: readonly string[];
  readonly regions: readonly string[];
  readonly rating: string | null;
  readonly timeoutMs: number;
  /** The number of seconds to accept a match; 0: no confirmation. */
  readonly acceptMs: number;
  readonly backfill: boolean;
}

const ONE_QUEUE = ["default"];

/** Applies the defaults. */
export function fullRules(rules: MatchRules): FullRules {
  return {
    minPlayers: rules.minPlayers,
    maxPlayers: rules.maxPlayers ?? rules.minPlayers,
    fillSeconds: rules.fillSeconds ?? 5,
    ratingSpread: rules.ratingSpread ?? 100,
    widenPerSecond: rules.widenPerSecond ?? 10,
    modes: rules.modes ?? ONE_QUEUE,
    regions: rules.regions ?? ONE_QUEUE,
    rating: rules.rating ?? null,
    timeoutMs: (rules.timeoutSeconds ?? 60) * 1000,
    acceptMs: (rules.acceptSeconds ?? 0) * 1000,
    backfill: rules.backfill ?? false,
  };
}

/** A queue: a type of shard, a mode and a region. None of them contains a slash. */
export interface Queue {
  readonly shard: string;
  readonly mode: string;
  readonly region: string;
}

/** Returns the name of a queue in the database. */
export function queueName({ shard, mode, region }: Queue): string {
  return `${shard}/${mode}/${region}`;
}

/** Returns the queue with a name. */
export function queueOf(name: string): Queue {
  const [shard = "", mode = "", region = ""] = name.split("/");
  return { shard, mode, region };
}

/** @throws PylonError SHARD_NOT_FOUND if there is no matchmaking for it */
export function rulesOf(
  definitions: ReadonlyMap<string, ShardDefinition>,
  shard: string,
): FullRules {
  const match = definitions.get(shard)?.match;
  if (match !== undefined) return fullRules(match);
  throw new PylonError(
    "SHARD_NOT_FOUND",
    `The shard "${shard.slice(0, 80)}" does not support matchmaking.`,
    {
      hint: "Declare `match: { minPlayers }` in the shard.",
    },
  );
}
