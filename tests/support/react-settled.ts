/** More turns of the event loop than React needs for its scheduled work. */
const TURNS = 50;

/**
 * Waits until React has done its scheduled work, after everything is unmounted. Later work would
 * access the page: if that no longer exists, it fails, and React renders nothing for the other
 * tests of the process.
 */
export async function reactSettled(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1)
    await new Promise<void>((resolve) => setImmediate(resolve));
}
