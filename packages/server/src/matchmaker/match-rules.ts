import { PylonError } from "@pylonsync/protocol";
import type { MatchRules, ShardDefinition } from "@pylonsync/functions";
import type { FormingRules } from "./form-matches.ts";

/** The rules of a kind of shard with their defaults. */
export interface FullRules extends FormingRules {
  readonly modes: readonly string[];
  readonly regions: readonly string[];
  readonly rating: string | null;
  readonly timeoutMs: number;
  /** 0: players are not asked. */
  readonly acceptMs: number;
  readonly backfill: boolean;
}

const ONE_QUEUE = ["default"];

/** Fills in what the app did not say. */
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

/** One queue: a kind of shard, a mode and a region. None of them has a slash in it. */
export interface Queue {
  readonly shard: string;
  readonly mode: string;
  readonly region: string;
}

/** The name of a queue in the database. */
export function queueName({ shard, mode, region }: Queue): string {
  return `${shard}/${mode}/${region}`;
}

/** The queue of a name. */
export function queueOf(name: string): Queue {
  const [shard = "", mode = "", region = ""] = name.split("/");
  return { shard, mode, region };
}

/** @throws PylonError SHARD_NOT_FOUND where there is no matchmaking for it */
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
