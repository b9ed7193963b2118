import { buildFiles } from "./build.ts";

/** A file of Studio's page. */
export interface StudioFile {
  /** Its media type, without parameters. */
  readonly type: string;
  readonly text: string;
}

let files: Promise<ReadonlyMap<string, StudioFile>> | undefined;

/**
 * Returns the files of Studio's page by name: `index.html`, `studio.js`, `studio.css`. In the
 * sources of Pylon, the first call builds them; the published package and the executable contain
 * them (`scripts/embed.ts`, `compile-executable.ts`).
 *
 * @example
 * const page = (await studioFiles()).get("index.html")?.text;
 *
 * @throws AggregateError with the messages of the bundler
 */
export function studioFiles(): Promise<ReadonlyMap<string, StudioFile>> {
  files ??= buildFiles();
  return files;
}
