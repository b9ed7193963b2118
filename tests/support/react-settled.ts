/** More turns of the event loop than React needs for what it has scheduled. */
const TURNS = 50;

/**
 * Waits until React has done what it has scheduled, after everything is unmounted. What it does
 * later looks at the page: when that is gone by then, it fails, and React renders nothing any more
 * for the other tests of the process.
 */
export async function reactSettled(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1)
    await new Promise<void>((resolve) => setImmediate(resolve));
}
