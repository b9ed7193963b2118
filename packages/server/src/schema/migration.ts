import type { ManifestEntity, ManifestField, ManifestIndex } from "@pylonsync/sdk";
import type { LostValues } from "./data-facts.ts";
import type { SearchIndex } from "./search-index.ts";

/**
 * One step from one schema to the next. `destructive` steps lose data and are only executed on
 * explicit request.
 */
export type MigrationStep =
  | { readonly kind: "create_table"; readonly entity: ManifestEntity }
  | { readonly kind: "add_column"; readonly entity: string; readonly field: ManifestField }
  | {
      /** Normalizes dates that were stored in the form in which a default was written. */
      readonly kind: "repair_dates";
      readonly entity: string;
      readonly field: ManifestField;
    }
  | { readonly kind: "create_index"; readonly entity: string; readonly index: ManifestIndex }
  | { readonly kind: "drop_index"; readonly entity: string; readonly index: string }
  | {
      /** Creates the index of an entity's search; the existing rows are added afterwards. */
      readonly kind: "build_search";
      readonly entity: string;
      readonly index: SearchIndex;
    }
  | { readonly kind: "drop_search"; readonly entity: string }
  | { readonly kind: "drop_table"; readonly entity: string; readonly destructive: true }
  | {
      readonly kind: "drop_column";
      readonly entity: string;
      readonly field: string;
      readonly destructive: true;
    }
  | {
      readonly kind: "retype_column";
      readonly entity: string;
      readonly from: ManifestField;
      readonly to: ManifestField;
      /** Values that become null, because they have no equivalent in the new type. */
      readonly lost?: LostValues | undefined;
      readonly destructive: true;
    }
  | {
      /** Like `retype_column`, but with the function that the app provides: nothing is lost. */
      readonly kind: "convert_column";
      readonly entity: string;
      readonly from: ManifestField;
      readonly to: ManifestField;
    }
  | {
      /**
       * Gives a value to the rows without one, in batches: after the migration is committed, so
       * that nothing waits for it.
       */
      readonly kind: "backfill";
      readonly entity: string;
      readonly field: ManifestField;
    }
  | {
      /**
       * Like `backfill`, for all rows: the field is now computed, or is now computed differently.
       */
      readonly kind: "compute";
      readonly entity: string;
      readonly field: ManifestField;
    };

/** The steps from one schema to another, in order. */
export interface Migration {
  readonly steps: readonly MigrationStep[];
}
