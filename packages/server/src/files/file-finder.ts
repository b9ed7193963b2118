import { PylonError } from "@pylonsync/protocol";
import { isFileId, type FileRecord } from "../data/file-record.ts";
import type { RequestContext } from "../request/context.ts";
import type { FileAccess } from "./file-access.ts";
import type { FileLinks } from "./file-links.ts";
import type { FileRegistry } from "./file-registry.ts";

/**
 * Finds the file in a request's path, if the caller may access it. A file that the caller may not
 * read is reported like one that does not exist.
 */
export class FileFinder {
  readonly #registry: FileRegistry;
  readonly #access: FileAccess;
  readonly #links: FileLinks;

  constructor(registry: FileRegistry, access: FileAccess, links: FileLinks) {
    this.#registry = registry;
    this.#access = access;
    this.#links = links;
  }

  /** @throws PylonError FILE_NOT_FOUND */
  async readable(context: RequestContext): Promise<FileRecord> {
    const file = await this.#find(context);
    if (file?.state !== "ready") throw fileNotFound();
    if ((await this.#isLinked(file, context)) || (await this.#access.mayRead(file, context)))
      return file;
    throw fileNotFound();
  }

  /**
   * Whether the request uses a signed link, with which anybody can read the file for a limited
   * time.
   */
  async #isLinked({ id }: FileRecord, context: RequestContext): Promise<boolean> {
    const signature = context.query("signature");
    if (signature === null) return false;
    return this.#links.isGood(id, context.query("expires") ?? "", signature);
  }

  /** @throws PylonError FILE_NOT_FOUND; FORBIDDEN for a file that the caller may only read */
  async manageable(context: RequestContext): Promise<FileRecord> {
    const file = await this.#find(context);
    if (file === null || file.state === "deleting") throw fileNotFound();
    if (this.#access.mayManage(file, context.caller)) return file;
    if (file.state === "ready" && (await this.#access.mayRead(file, context))) {
      throw new PylonError("FORBIDDEN", "This file belongs to another user.");
    }
    throw fileNotFound();
  }

  #find(context: RequestContext): Promise<FileRecord | null> {
    const id = context.param("id");
    return isFileId(id) ? this.#registry.get(id) : Promise.resolve(null);
  }
}

/** The error for deleting a file that is in a row. */
export function fileInUse({ boundEntity, boundField }: FileRecord): PylonError {
  return new PylonError("CONFLICT", `This file is used by a row of ${String(boundEntity)}.`, {
    hint: `Change the row's ${String(boundField)}, or delete the row, which also deletes the file.`,
  });
}

/** The error for a file that does not exist, or whose existence the caller may not know. */
export function fileNotFound(): PylonError {
  return new PylonError("FILE_NOT_FOUND", "The file does not exist.", {
    hint: "Or you may not read it: a file in a row can be read by users who may read the row.",
  });
}
