// Not from node:fs/promises, which takes a start 2 ms: `promises` is loaded when it is used.
import { constants, promises } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Platform } from "../platform.ts";
import { errorCode } from "../util/errors.ts";
import {
  lostUpload,
  shardedPath,
  type ByteRange,
  type FileStorage,
  type ObjectInfo,
  type ResumableObject,
  type UploadProgress,
} from "./file-storage.ts";

const INCOMING = ".incoming";
/** A disk with less free space than this, in bytes, counts as full. */
const MIN_FREE_BYTES = 64 * 1024 * 1024;
/** A resumable upload is flushed to the disk after this many bytes. */
const SYNC_BYTES = 16 * 1024 * 1024;

/** Files in a folder of this machine. */
export class LocalStorage implements FileStorage {
  readonly signsUploads = false;
  readonly #dir: string;

  readonly #uuid: () => string;

  constructor(dir: string, { uuid }: Pick<Platform, "uuid">) {
    this.#dir = dir;
    this.#uuid = uuid;
  }

  async put(id: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const incoming = join(this.#dir, INCOMING, `${id}.${this.#uuid()}`);
    const path = this.#path(id);
    await promises.mkdir(dirname(incoming), { recursive: true });
    try {
      await writeDurably(incoming, content);
      await promises.mkdir(dirname(path), { recursive: true });
      await promises.rename(incoming, path);
    } catch (error) {
      await promises.rm(incoming, { force: true });
      throw error;
    }
    await syncFolder(dirname(path));
  }

  async get(id: string, { start, end }: ByteRange): Promise<Blob | null> {
    return (await this.info(id)) === null ? null : Bun.file(this.#path(id)).slice(start, end + 1);
  }

  async info(id: string): Promise<ObjectInfo | null> {
    const found = await promises.stat(this.#path(id)).catch(ifMissing);
    return found === null ? null : { size: found.size };
  }

  async delete(id: string): Promise<void> {
    await promises.rm(this.#path(id), { force: true });
    const incoming = join(this.#dir, INCOMING);
    const names = (await promises.readdir(incoming).catch(ifMissing)) ?? [];
    for (const name of names) {
      if (name.startsWith(`${id}.`)) await promises.rm(join(incoming, name), { force: true });
    }
  }

  presignUpload(): Promise<null> {
    return Promise.resolve(null);
  }
  presignDownload(): Promise<null> {
    return Promise.resolve(null);
  }
  presignParts(): Promise<null> {
    return Promise.resolve(null);
  }
  completeParts(): Promise<void> {
    return Promise.reject(new Error("Local file storage does not support multipart uploads."));
  }
  beginAppend(): Promise<null> {
    return Promise.resolve(null);
  }
  async append(
    { id, offset: before }: ResumableObject,
    content: AsyncIterable<Uint8Array>,
    onStored: (progress: UploadProgress) => Promise<void>,
  ): Promise<void> {
    const path = this.#partPath(id);
    await promises.mkdir(dirname(path), { recursive: true });
    const handle = await promises.open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    let offset = before;
    let synced = before;
    const sync = async (): Promise<void> => {
      if (offset === synced) return;
      await handle.sync();
      synced = offset;
      await onStored({ offset, parts: [] });
    };
    try {
      if ((await handle.stat()).size < before) throw lostUpload();
      try {
        for await (const chunk of content) {
          await writeAll(handle, chunk, offset);
          offset += chunk.length;
          if (offset - synced >= SYNC_BYTES) await sync();
        }
      } finally {
        await sync();
      }
    } finally {
      await handle.close();
    }
  }
  async finishAppend({ id, size }: ResumableObject): Promise<void> {
    const part = this.#partPath(id);
    const path = this.#path(id);
    const found = await promises.stat(part).catch(ifMissing);
    // It was finished before, or nothing was ever written.
    if (found === null && size > 0) return;
    await promises.mkdir(dirname(path), { recursive: true });
    // Bytes after the end come from an aborted request that wrote more than was recorded.
    const handle = await promises.open(part, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      await handle.truncate(size);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await promises.rename(part, path);
    await syncFolder(dirname(path));
  }
  async check(): Promise<"up" | "full"> {
    await promises.mkdir(this.#dir, { recursive: true });
    await promises.access(this.#dir, constants.W_OK);
    const { bavail, bsize } = await promises.statfs(this.#dir);
    return bavail * bsize < MIN_FREE_BYTES ? "full" : "up";
  }
  counts(): [] {
    return [];
  }
  close(): void {
    // Nothing is open between calls.
  }

  #path(id: string): string {
    return join(this.#dir, shardedPath(id));
  }
  /** The name begins with that of the file, so it is deleted with the file. */
  #partPath(id: string): string {
    return join(this.#dir, INCOMING, `${id}.part`);
  }
}

async function writeDurably(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const handle = await promises.open(path, "wx", 0o600);
  try {
    let offset = 0;
    for await (const chunk of content) {
      await writeAll(handle, chunk, offset);
      offset += chunk.length;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, at: number): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    const { bytesWritten } = await handle.write(
      chunk,
      written,
      chunk.length - written,
      at + written,
    );
    written += bytesWritten;
  }
}

/** Without it the name, and not only the content, could be lost if the machine stops. */
async function syncFolder(path: string): Promise<void> {
  const handle = await promises.open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ifMissing(error: unknown): null {
  if (errorCode(error) === "ENOENT") return null;
  throw error;
}
