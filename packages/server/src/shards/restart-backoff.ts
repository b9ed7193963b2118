import { PylonError } from "@pylonsync/protocol";

const FIRST_MS = 500;
const MAX_MS = 30_000;
/** The run time after which earlier failures of a shard no longer count, in milliseconds. */
const STABLE_MS = 60_000;

/**
 * Back-off for shards whose thread was lost repeatedly: each pause is twice as long, so that a
 * shard that gets stuck immediately uses few resources.
 */
export class RestartBackoff {
  readonly #lost = new Map<string, { times: number; at: number }>();

  /** Records that a thread was lost. @param now monotonic time in milliseconds */
  lost(id: string, now: number): void {
    for (const [known, { times, at }] of this.#lost)
      if (now - at > STABLE_MS + pauseOf(times)) this.#lost.delete(known);
    const times = (this.#lost.get(id)?.times ?? 0) + 1;
    this.#lost.set(id, { times, at: now });
  }

  /** @throws PylonError SUBSCRIBE_FAILED during the pause of the shard */
  check(id: string, now: number): void {
    const lost = this.#lost.get(id);
    if (lost === undefined) return;
    const leftMs = lost.at + pauseOf(lost.times) - now;
    if (leftMs <= 0) return;
    throw new PylonError("SUBSCRIBE_FAILED", "The shard is restarting.", {
      extra: { retry_after_secs: Math.ceil(leftMs / 1000) },
    });
  }
}

function pauseOf(times: number): number {
  return times === 1 ? 0 : Math.min(MAX_MS, FIRST_MS * 2 ** (times - 2));
}
