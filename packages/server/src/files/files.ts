import type { Caller } from "../identity/identity.ts";
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
import { FileLinks } from "./file-links.ts";
import { FileRegistry } from "./file-registry.ts";
import { FileService } from "./file-service.ts";
import type { FileSettings } from "./file-settings.ts";
import type { FileStorage } from "./file-storage.ts";
import { FunctionFiles } from "./function-files.ts";
import { GuestQuota } from "./guest-quota.ts";
import { resumableRoutes } from "./resumable-routes.ts";
import { ResumableUploads } from "./resumable-uploads.ts";
import { uploadRoutes } from "./upload-routes.ts";
import { UserStorage } from "./user-storage.ts";

/** The services that the file feature uses. */
export interface FilesServices {
  readonly store: Store;
  readonly reader: RequestReader;
  readonly storage: FileStorage;
  readonly settings: FileSettings;
  readonly model: () => DataModel;
  readonly platform: Platform;
  readonly log: Log;
  /** Whether a trusted proxy reports the scheme that the client used. */
  readonly trustsProxy: boolean;
  /** The URL under which browsers reach the server; null if it is not configured. */
  readonly publicUrl: string | null;
}

/** The assembled file feature. */
export interface Files {
  readonly routes: Route[];
  readonly cleanup: FileCleanup;
  /** `ctx.storage` of a function that this caller has called. */
  readonly storageOf: (caller: Caller) => FunctionFiles;
}

/** Assembles the file feature. */
export function createFiles({
  store,
  reader,
  storage,
  settings,
  model,
  platform,
  log,
  trustsProxy,
  publicUrl,
}: FilesServices): Files {
  const registry = new FileRegistry(store, platform, new UserStorage(settings.userBytes));
  const access = new FileAccess({ reader, model, now: platform.now, read: settings.read });
  const links = new FileLinks(store, platform);
  const finder = new FileFinder(registry, access, links);
  const files = new FileService({
    registry,
    storage,
    model,
    platform,
    maxBytes: settings.maxBytes,
    log,
  });
  const quota = new GuestQuota(registry, settings.guestBytes);
  const uploads = new ResumableUploads({ registry, storage, files, platform });
  return {
    routes: [
      ...resumableRoutes({ uploads, files, finder, quota, orphanMs: settings.orphanMs }),
      ...uploadRoutes({ files, finder, quota, trustsProxy }),
      ...downloadRoutes({ finder, storage, direct: settings.direct, log }),
    ],
    cleanup: new FileCleanup({
      registry,
      files,
      links,
      now: platform.now,
      orphanMs: settings.orphanMs,
    }),
    storageOf: (caller) =>
      new FunctionFiles({ registry, files, storage, links, publicUrl }, caller),
  };
}
