import type { ManifestEntity, ManifestField, ManifestIndex } from "@pylonsync/sdk";
import type { LostValues } from "./data-facts.ts";
import type { SearchIndex } from "./search-index.ts";

/**
 * One step from one schema to the next. `destructive` steps lose data and are only taken when asked
 * for by name.
 */
export type MigrationStep =
  | { readonly kind: "create_table"; readonly entity: ManifestEntity }
  | { readonly kind: "add_column"; readonly entity: string; readonly field: ManifestField }
  | {
      /** Dates that were stored as a default was written come to their normal form. */
      readonly kind: "mend_dates";
      readonly entity: string;
      readonly field: ManifestField;
    }
  | { readonly kind: "create_index"; readonly entity: string; readonly index: ManifestIndex }
  | { readonly kind: "drop_index"; readonly entity: string; readonly index: string }
  | {
      /** Makes the index of an entity's search; the rows that are there come into it afterwards. */
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
      /** Values that become null, because the new type has no equal of them. */
      readonly lost?: LostValues | undefined;
      readonly destructive: true;
    }
  | {
      /** As `retype_column`, by the function that the app gives: nothing is lost. */
      readonly kind: "convert_column";
      readonly entity: string;
      readonly from: ManifestField;
      readonly to: ManifestField;
    }
  | {
      /**
       * Rows without a value of the field are to get one, some at a time: once the migration is
       * committed, so that nothing waits for it.
       */
      readonly kind: "backfill";
      readonly entity: string;
      readonly field: ManifestField;
    }
  | {
      /** As `backfill`, of all rows: the field is computed, or is computed in another way now. */
      readonly kind: "compute";
      readonly entity: string;
      readonly field: ManifestField;
    };

/** The steps from one schema to another, in order. */
export interface Migration {
  readonly steps: readonly MigrationStep[];
}
