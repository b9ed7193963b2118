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
 * closed then: the database rolls back what was not committed. A server that already accepts
 * requests completes its start instead, so that it can be stopped without interrupting them.
 *
 * @returns false if the process must end now
 * @throws the error of the start
 */
export async function isStarted(
  start: Promise<void>,
  stopped: Promise<void>,
  isListening: () => boolean = () => false,
): Promise<boolean> {
  const started = start.then(() => true);
  const isFirst = await Promise.race([started, stopped.then(() => false)]);
  return isFirst || (isListening() && (await started));
}
