/** The parts of a page that polling uses. */
export interface Poller {
  /** Calls back once after a time. @returns a function that prevents the call */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** Whether a person can see the page. */
  readonly isVisible: () => boolean;
}

/** The page of this browser. */
export const PAGE_POLLER: Poller = {
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  isVisible: () => document.visibilityState !== "hidden",
};

/**
 * Calls `load` now, and again after each interval while the page is visible. It waits for the end
 * of each call, so that a slow server does not get more and more requests.
 *
 * @param load does not reject
 * @returns a function that stops it
 */
export function poll(
  load: () => Promise<void>,
  everyMs: number,
  { after, isVisible }: Poller = PAGE_POLLER,
): () => void {
  let isStopped = false;
  let cancel: (() => void) | undefined;
  const next = async (): Promise<void> => {
    if (isVisible()) await load();
    if (!isStopped) cancel = after(everyMs, () => void next());
  };
  void next();
  return () => {
    isStopped = true;
    cancel?.();
  };
}
