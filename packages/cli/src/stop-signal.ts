const SAME_SIGNAL_MS = 1_000;

/**
 * Answers at the first SIGTERM or SIGINT. Call it before the start, so that a signal during it is
 * not lost. A second signal ends the process at once; not one right behind the first, because a
 * terminal sends Ctrl-C to the launcher too, which hands it on.
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
