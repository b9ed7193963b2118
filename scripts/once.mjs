// Makes something that several processes share.
import { mkdirSync, rmSync, statSync } from "node:fs";
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
export function makeOnce(lock, isThere, make) {
  mkdirSync(dirname(lock), { recursive: true });
  while (!isThere()) {
    if (!takeLock(lock)) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
      continue;
    }
    const unlock = () => rmSync(lock, { recursive: true, force: true });
    // A command that fails in `make` may end this process.
    process.once("exit", unlock);
    try {
      if (!isThere()) make();
    } finally {
      process.off("exit", unlock);
      unlock();
    }
    return;
  }
}

function takeLock(lock) {
  try {
    mkdirSync(lock);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    const madeAt = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - madeAt > ABANDONED_MS) rmSync(lock, { recursive: true, force: true });
    return false;
  }
}
