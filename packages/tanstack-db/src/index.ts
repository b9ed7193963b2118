/**
 * Pylon entities as TanStack DB collections.
 *
 * @module
 */
export {
  pylonCollectionOptions,
  type EntityCollectionOptions,
  type PylonCollectionOptions,
} from "./collection-options.ts";
export {
  createSyncEngine,
  MutationError,
  PylonClientError,
  type SyncEngine,
} from "@pylonsync/sync";
