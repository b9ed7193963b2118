import { mkdirSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { Database } from "bun:sqlite";
import { errorCode } from "../../util/errors.ts";
import { sleep, systemPlatform, type Platform } from "../../platform.ts";
import { openFailure } from "./open-failure.ts";
import { forgetServer, noteServer, refuseOtherName } from "./server-note.ts";

const RETRY_MS = 100;

/**
 * Held by the one server of a SQLite database. A second one would miss what the first writes,
 * because changes are handed on within the process. The lock is the operating system's, so it ends
 * with the process however that ends. Over NFS it is as good as the locks of that file system,
 * which on EFS are the servers' own.
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
   * @param named the database, by whatever links; the lock is on a file beside the file itself
   * @param patienceMs how long to wait for a server that ends, in milliseconds
   * @param onWait called once when there is one
   * @returns null when it is still there
   * @throws PylonStartError when the file can't be made or written, or is served by another name
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

  /** Notes in the database, once it is there, that this process serves it, and by which name. */
  note(): void {
    this.#isNoted = true;
    noteServer(this.#path, this.#platform);
  }

  [Symbol.dispose](): void {
    if (this.#isNoted) forgetServer(this.#path);
    this.#database.close();
  }
}

/** A symbolic link is another name of the same file, and SQLite goes by the file's own. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It is not there yet, or can't be looked at: then opening it says why.
    return path;
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
