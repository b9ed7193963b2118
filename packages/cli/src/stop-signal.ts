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
