import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ANONYMOUS } from "../identity/identity.ts";
import { Log } from "../observe/log.ts";
import { systemPlatform } from "../platform.ts";
import { scratchStore } from "../store/testing/scratch-store.ts";
import { FileRegistry } from "./file-registry.ts";
import { FileService } from "./file-service.ts";
import { LocalStorage } from "./local-storage.ts";
import { ResumableUploads } from "./resumable-uploads.ts";

const ANN = { ...ANONYMOUS, userId: "ann" };

async function* piece(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(4);
}

/** Reports the moment between the claim of an upload and the storing of its content. */
class WatchedStorage extends LocalStorage {
  beforeAppend: () => Promise<unknown> = () => Promise.resolve();

  override async append(...args: Parameters<LocalStorage["append"]>): Promise<void> {
    await this.beforeAppend();
    await super.append(...args);
  }
}

test("a chunk of an upload that another replica deletes is not left behind", async () => {
  await using scratch = scratchStore();
  const dir = mkdtempSync(join(tmpdir(), "pylon-resumable-uploads-"));
  const { platform } = scratch;
  const registry = new FileRegistry(scratch.store, platform);
  const storage = new WatchedStorage(dir, systemPlatform);
  const files = new FileService({
    registry,
    storage,
    model: () => {
      throw new Error("Nothing is asked of the model.");
    },
    platform,
    maxBytes: 100,
    log: new Log({ level: "error", format: "json", now: platform.now, write: () => undefined }),
  });
  const uploads = new ResumableUploads({ registry, storage, files, platform });
  const file = await uploads.create(
    { name: "a", contentType: "text/plain", size: 10, checksum: null, binding: null, parts: 1 },
    ANN,
  );
  storage.beforeAppend = () => files.remove(file);
  await expect(uploads.append(file, 0, piece, ANN)).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await registry.get(file.id)).toBeNull();
  expect(
    readdirSync(dir, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()),
  ).toEqual([]);
  rmSync(dir, { recursive: true });
});
