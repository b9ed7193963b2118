const SAME_SIGNAL_MS = 1_000;

/**
 * Resolves at the first SIGTERM or SIGINT. Call it before the start, so that a signal during it is
 * not lost. A second signal ends the process immediately, but not one directly after the first,
 * because a terminal also sends Ctrl-C to the launcher, which forwards it.
 */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        first ??= performance.now();
        if (performance.now() - first > SAME_SIGNAL_MS) process.exit(1);
        resolve();
      });
    }
  });
}

/**
 * Waits for a start, but no longer than until the signal: a start may wait half a minute for its
 * database, which is longer than a platform waits before it kills the process. Nothing needs to be
 * closed then: no request was served yet, and the database rolls back what was not committed.
 *
 * @returns false if the signal came first: end the process
 * @throws the error of the start
 */
export async function isStarted(start: Promise<void>, stopped: Promise<void>): Promise<boolean> {
  return Promise.race([start.then(() => true), stopped.then(() => false)]);
}
