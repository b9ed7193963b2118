import type { Log } from "../observe/log.ts";
import type { Platform } from "../platform.ts";
import type { FileSettings } from "./file-settings.ts";
import type { FileStorage } from "./file-storage.ts";
import { LocalStorage } from "./local-storage.ts";

/**
 * Opens the configured storage. The SDK of S3 is loaded only for S3, because that takes longer than
 * the rest of the start.
 */
export async function openStorage(
  { storage, maxBytes }: FileSettings,
  log: Log,
  platform: Platform,
): Promise<FileStorage> {
  if (storage.kind === "local") return new LocalStorage(storage.dir, platform);
  const { S3Storage } = await import("./s3-storage.ts");
  return new S3Storage({ ...storage, maxBytes, log, platform });
}
