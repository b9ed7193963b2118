import { RoundPlayer } from "./replay-player.ts";

/** A recorded round, with the text of its file. */
export interface RecordedRound {
  readonly replay: unknown;
  /** As downloaded: parsing and serializing JSON would lose `-0`. */
  readonly text: string;
}

/** A round in the database: the shard, and the step in which its recording ended. */
export interface EndedRound {
  readonly shardId: string;
  readonly tick: number;
}

/** The recording is stored while the round already appears in the list. */
const ATTEMPTS = 20;
const ATTEMPT_EVERY_MS = 250;

/**
 * Reads a recorded round from the text of its file.
 *
 * @throws SyntaxError for text that is not JSON, TypeError for another recording
 */
export function readRound(text: string): RecordedRound {
  const replay: unknown = JSON.parse(text);
  // Throws for a recording that can't be played.
  new RoundPlayer(replay);
  return { replay, text };
}

/**
 * Downloads the recording of a round.
 *
 * @throws Error if it is not stored yet, or no longer stored
 */
export async function loadRound(
  { shardId, tick }: EndedRound,
  token: string,
): Promise<RecordedRound> {
  const path = `/api/shards/${encodeURIComponent(shardId)}/replays`;
  const headers = { Authorization: `Bearer ${token}` };
  const request = async (at: string): Promise<string> => {
    const response = await fetch(at, { headers });
    if (!response.ok) throw new Error(`The server responded with ${response.status}.`);
    return response.text();
  };
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const list: { readonly id: string; readonly to_tick: number }[] = JSON.parse(
      await request(path),
    );
    const found = list.find(({ to_tick }) => to_tick === tick);
    if (found !== undefined) return readRound(await request(`${path}/${found.id}`));
    await new Promise((resolve) => setTimeout(resolve, ATTEMPT_EVERY_MS));
  }
  throw new Error("The recording of this round is no longer stored.");
}
