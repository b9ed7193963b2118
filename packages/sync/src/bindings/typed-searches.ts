import type { SyncEngine } from "../engine/engine.ts";

/** Searches that replace each other faster than this are typed, in milliseconds. */
const TYPING_MS = 250;

/** A search that was replaced, or taken away, while it was new. */
interface Abandoned {
  readonly key: string;
  readonly at: number;
}

const abandoned = new WeakMap<Pick<SyncEngine, "platform">, Abandoned>();

/**
 * Starts a search; one that replaces a search that is still new starts only once it has lasted for
 * 250 ms. So a user who types causes a request for the first letter and one for all of them, and
 * not one for each, which a network address may send only so many of. Several searches of one page
 * do not wait for each other.
 *
 * @param key equal for equal searches: frameworks may stop and start the same one
 * @param start returns a function that stops the search
 * @returns a function that stops the search, or its start
 */
export function whenTyped(
  sync: Pick<SyncEngine, "platform">,
  key: string,
  start: () => () => void,
): () => void {
  const { platform } = sync;
  const startedAt = platform.now();
  const before = abandoned.get(sync);
  const isTyped = before !== undefined && before.key !== key && startedAt - before.at < TYPING_MS;
  let stop = isTyped
    ? platform.after(TYPING_MS, () => {
        stop = start();
      })
    : start();
  return () => {
    stop();
    const now = platform.now();
    if (now - startedAt < TYPING_MS) abandoned.set(sync, { key, at: now });
  };
}
