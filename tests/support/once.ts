import { mkdirSync, rmdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** The age at which a lock's holder counts as dead, in milliseconds. */
const ABANDONED_MS = 10 * 60 * 1000;
const POLL_MS = 200;

/**
 * Makes something that all processes of a test run share, such as an installed program: one of them
 * makes it, the others wait for that.
 *
 * @param lock a path that exists while it is made
 * @param isThere whether it need not be made any longer
 * @throws the error of `make`; the next caller tries again
 */
export function makeOnce(lock: string, isThere: () => boolean, make: () => void): void {
  mkdirSync(dirname(lock), { recursive: true });
  while (!isThere()) {
    if (!takeLock(lock)) {
      Bun.sleepSync(POLL_MS);
      continue;
    }
    try {
      if (!isThere()) make();
    } finally {
      rmdirSync(lock);
    }
    return;
  }
}

function takeLock(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    const madeAt = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - madeAt > ABANDONED_MS) rmdirSync(lock);
    return false;
  }
}
