export interface Batch {
  readonly files: readonly string[];
  readonly store: "sqlite" | "postgres";
  readonly isAlone: boolean;
}
export class Durations {
  constructor(root: string);
  of(file: string, store: string): number;
  record(file: string, store: string, ms: number): void;
  save(): void;
}
/** The paths of all files below a folder, relative to the root, except hidden and built ones. */
export function filesBelow(root: string, folder: string): Iterable<string>;
export function testFiles(root: string, patterns: readonly string[]): string[];
export function batchesOf(
  files: readonly string[],
  durations: Pick<Durations, "of">,
  options: { readonly onPostgres: boolean },
): Batch[];
export function unitTestFiles(root: string, patterns: readonly string[]): string[];
