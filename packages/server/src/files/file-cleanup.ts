import type { FileRecord } from "../data/file-record.ts";
import type { FileLinks } from "./file-links.ts";
import type { FileRegistry } from "./file-registry.ts";
import type { FileService } from "./file-service.ts";

/** The services that the cleanup uses. */
export interface FileCleanupServices {
  readonly registry: FileRegistry;
  readonly files: FileService;
  readonly links: Pick<FileLinks, "forgetOld">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** How long an unfinished upload and an orphan are kept, in milliseconds. */
  readonly orphanMs: number;
}

/**
 * Deletes uploads that were never finished, files that are no longer in a row, and the remains of
 * deleted files. Replicas may do it at the same time: the transaction that marks a file decides,
 * and deleting a file that no longer exists does no harm.
 */
export class FileCleanup {
  readonly #services: FileCleanupServices;
  #isRunning = false;

  constructor(services: FileCleanupServices) {
    this.#services = services;
  }

  /** @throws the first error of the storage, after every other file was tried */
  async run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      await this.#sweep();
    } finally {
      this.#isRunning = false;
    }
  }

  async #sweep(): Promise<void> {
    const { registry, files, links, now, orphanMs } = this.#services;
    const before = now() - orphanMs;
    await links.forgetOld();
    const failures: unknown[] = [];
    for (const file of await registry.unneeded(before)) {
      try {
        if (await registry.markForDeletion(file.id, (current) => isUnneeded(current, before)))
          await files.deleteNow(file);
      } catch (error) {
        failures.push(error);
        // If the storage is down, each file waits for its timeout.
        if (failures.length > 2) break;
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

function isUnneeded(file: FileRecord, before: number): boolean {
  if (file.state === "deleting") return true;
  if (file.state === "pending") return file.createdAt < before;
  return file.linkedRow === null && file.orphanedAt !== null && file.orphanedAt < before;
}
