import { basename } from "node:path";
import { counted } from "./counted.ts";
import type { Output } from "./output.ts";

/** The response of `/api/import`. */
export interface ImportReport {
  readonly imported: number;
  readonly updated: number;
  readonly failed: number;
  readonly by_entity: readonly {
    readonly entity: string;
    readonly inserted: number;
    readonly updated: number;
    readonly failed: number;
  }[];
  readonly errors: readonly ImportFailure[];
}

/** A row that was rejected. */
export interface ImportFailure {
  readonly line: number;
  readonly column?: number;
  readonly entity: string;
  readonly code: string;
  readonly message: string;
}

/**
 * Prints what an import wrote, and why rows were rejected.
 *
 * @param placeOf the place of a row in the file, such as `line 3`
 */
export function sayReport(
  { by_entity: entities, errors, failed }: ImportReport,
  file: string,
  output: Output,
  placeOf: (failure: ImportFailure) => string,
): void {
  for (const { entity, inserted, updated } of entities)
    output.say(
      `${entity}: ${counted(inserted, "row")} inserted${updated > 0 ? `, ${updated} updated` : ""}`,
    );
  for (const failure of errors)
    output.warn(
      `pylon: ${basename(file)}: ${placeOf(failure)}: ${failure.code}: ${failure.message}`,
    );
  if (failed > errors.length)
    output.warn(`pylon: and ${failed - errors.length} more rows were rejected.`);
}
