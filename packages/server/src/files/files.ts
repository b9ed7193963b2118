import type { DataModel } from "../data/model.ts";
import type { Log } from "../observe/log.ts";
import type { Platform } from "../platform.ts";
import type { RequestReader } from "../request/reading.ts";
import type { Route } from "../request/route.ts";
import type { Store } from "../store/store.ts";
import { downloadRoutes } from "./download-routes.ts";
import { FileAccess } from "./file-access.ts";
import { FileCleanup } from "./file-cleanup.ts";
import { FileFinder } from "./file-finder.ts";
import { FileRegistry } from "./file-registry.ts";
import { FileService } from "./file-service.ts";
import type { FileSettings } from "./file-settings.ts";
import type { FileStorage } from "./file-storage.ts";
import { GuestQuota } from "./guest-quota.ts";
import { uploadRoutes } from "./upload-routes.ts";

/** What the file feature is made of. */
export interface FilesServices {
  readonly store: Store;
  readonly reader: RequestReader;
  readonly storage: FileStorage;
  readonly settings: FileSettings;
  readonly model: () => DataModel;
  readonly platform: Platform;
  readonly log: Log;
  /** A proxy of ours says by which scheme the client came. */
  readonly trustsProxy: boolean;
}

/** The file feature, put together. */
export function createFiles({
  store,
  reader,
  storage,
  settings,
  model,
  platform,
  log,
  trustsProxy,
}: FilesServices): { readonly routes: Route[]; readonly cleanup: FileCleanup } {
  const registry = new FileRegistry(store, platform);
  const access = new FileAccess({ reader, model, now: platform.now, read: settings.read });
  const finder = new FileFinder(registry, access);
  const files = new FileService({
    registry,
    storage,
    model,
    platform,
    maxBytes: settings.maxBytes,
    log,
  });
  const quota = new GuestQuota(registry, settings.guestBytes);
  return {
    routes: [
      ...uploadRoutes({ files, finder, quota, trustsProxy }),
      ...downloadRoutes({ finder, storage, direct: settings.direct, log }),
    ],
    cleanup: new FileCleanup({ registry, files, now: platform.now, orphanMs: settings.orphanMs }),
  };
}
