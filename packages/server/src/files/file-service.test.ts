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

const ANN = { ...ANONYMOUS, userId: "ann" };

async function* content(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(4);
}

/** Reports the moments before and after the content of an upload is stored. */
class WatchedStorage extends LocalStorage {
  before: () => Promise<unknown> = () => Promise.resolve();
  after: () => Promise<unknown> = () => Promise.resolve();

  override async put(...args: Parameters<LocalStorage["put"]>): Promise<void> {
    await this.before();
    await super.put(...args);
    await this.after();
  }
}

test.each(["before", "after"] as const)(
  "no content remains of a file that is deleted %s its content is stored",
  async (moment) => {
    await using scratch = scratchStore();
    const dir = mkdtempSync(join(tmpdir(), "pylon-file-service-"));
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
    const upload = { name: "a", contentType: "text/plain", size: 4, checksum: null };
    const { file, target } = await files.announce({ ...upload, binding: null, parts: null }, ANN);
    storage[moment] = () => files.remove(file);
    expect(await files.receive(file.id, "key" in target ? target.key : "", content())).toBeNull();
    expect(await registry.get(file.id)).toBeNull();
    expect(
      readdirSync(dir, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()),
    ).toEqual([]);
    rmSync(dir, { recursive: true });
  },
);
