import { PylonError } from "@pylonsync/protocol";
import { isFileId, type FileRecord } from "../data/file-record.ts";
import type { RequestContext } from "../request/context.ts";
import type { FileAccess } from "./file-access.ts";
import type { FileRegistry } from "./file-registry.ts";

/**
 * The file that a request's path names, if the caller may have it. What may not be seen is answered
 * as what is not there.
 */
export class FileFinder {
  readonly #registry: FileRegistry;
  readonly #access: FileAccess;

  constructor(registry: FileRegistry, access: FileAccess) {
    this.#registry = registry;
    this.#access = access;
  }

  /** @throws PylonError FILE_NOT_FOUND */
  async readable(context: RequestContext): Promise<FileRecord> {
    const file = await this.#find(context);
    if (file?.state === "ready" && (await this.#access.mayRead(file, context))) return file;
    throw fileNotFound();
  }

  /** @throws PylonError FILE_NOT_FOUND; FORBIDDEN for a file that the caller may only read */
  async manageable(context: RequestContext): Promise<FileRecord> {
    const file = await this.#find(context);
    if (file === null || file.state === "deleting") throw fileNotFound();
    if (this.#access.mayManage(file, context.caller)) return file;
    if (file.state === "ready" && (await this.#access.mayRead(file, context))) {
      throw new PylonError("FORBIDDEN", "This file is another user's.");
    }
    throw fileNotFound();
  }

  #find(context: RequestContext): Promise<FileRecord | null> {
    const id = context.param("id");
    return isFileId(id) ? this.#registry.get(id) : Promise.resolve(null);
  }
}

/** The answer for a file that is not there, or that the caller may not know of. */
export function fileNotFound(): PylonError {
  return new PylonError("FILE_NOT_FOUND", "There is no such file.", {
    hint: "Or you may not see it: a file in a row can be read by those who may read the row.",
  });
}
