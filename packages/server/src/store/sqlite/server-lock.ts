import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Database } from "bun:sqlite";
import { errorCode } from "../../util/errors.ts";
import { sleep, systemPlatform, type Platform } from "../../platform.ts";
import { openFailure } from "./open-failure.ts";
import { forgetServer, noteServer, realPath, refuseOtherName } from "./server-note.ts";

const RETRY_MS = 100;

/**
 * The lock that the only server of a SQLite database holds. A second server would miss the writes
 * of the first, because changes are only passed on within the process. It is a lock of the
 * operating system, so it ends with the process, however that ends. On NFS it is only as reliable
 * as the locks of that file system, which EFS keeps on its own servers (see
 * docs/deploy/operations.md).
 */
export class ServerLock implements Disposable {
  readonly #path: string;
  readonly #database: Database;
  readonly #platform: Platform;
  #isNoted = false;

  private constructor(path: string, database: Database, platform: Platform) {
    this.#platform = platform;
    this.#path = path;
    this.#database = database;
  }

  /**
   * @param named the database, possibly by a link; the lock is on a file next to the actual file
   * @param patienceMs how long to wait for a server that is shutting down, in milliseconds
   * @param onWait called once if another server holds the lock
   * @returns null if that server still holds it
   * @throws PylonStartError if the file can't be created or written, or is served under another
   *   name
   */
  static async take(
    named: string,
    patienceMs: number,
    onWait: () => void,
    platform: Platform = systemPlatform,
  ): Promise<ServerLock | null> {
    const path = realPath(named);
    refuseOtherName(path);
    const database = open(path);
    const until = platform.monotonic() + patienceMs;
    for (let tries = 1; !isTaken(path, database); tries += 1) {
      if (platform.monotonic() >= until) {
        database.close();
        return null;
      }
      if (tries === 1) onWait();
      await sleep(platform, RETRY_MS);
    }
    return new ServerLock(path, database, platform);
  }

  /** Records in the database, once it exists, that this process serves it, and under which name. */
  note(): void {
    this.#isNoted = true;
    noteServer(this.#path, this.#platform);
  }

  [Symbol.dispose](): void {
    if (this.#isNoted) forgetServer(this.#path);
    this.#database.close();
  }
}

function open(path: string): Database {
  try {
    mkdirSync(dirname(path), { recursive: true });
    return new Database(`${path}-server`, { create: true, readwrite: true });
  } catch (error) {
    throw openFailure(path, error);
  }
}

function isTaken(path: string, database: Database): boolean {
  try {
    database.run("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (errorCode(error) === "SQLITE_BUSY") return false;
    database.close();
    throw openFailure(path, error);
  }
}
