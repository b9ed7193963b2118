import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A disk of 64 KB that a test fills. */
export class SmallDisk implements Disposable {
  readonly #path: string;

  /** @param path where it is mounted, in a folder that is created */
  constructor(path: string) {
    mkdirSync(path, { recursive: true });
    const { status, stderr, error } = spawnSync(
      "mount",
      ["-t", "tmpfs", "-o", "size=64k", "none", path],
      { encoding: "utf8" },
    );
    if (status !== 0)
      throw new Error(`No disk can be mounted here: ${error?.message ?? stderr.trim()}`);
    this.#path = path;
  }

  /** @param size in the format of `mount`: `1m` */
  resize(size: string): void {
    spawnSync("mount", ["-o", `remount,size=${size}`, this.#path]);
  }

  [Symbol.dispose](): void {
    spawnSync("umount", [this.#path]);
  }
}

/**
 * Whether this process may mount one: in a container even root often may not. If it may not, it
 * prints that.
 */
export function canMountDisks(): boolean {
  const path = mkdtempSync(join(tmpdir(), "pylon-disk-"));
  try {
    new SmallDisk(path)[Symbol.dispose]();
    return true;
  } catch (error) {
    console.warn(
      "The tests of a full disk are left out. " +
        `${error instanceof Error ? error.message : String(error)}`,
    );
    return false;
  } finally {
    rmdirSync(path);
  }
}
