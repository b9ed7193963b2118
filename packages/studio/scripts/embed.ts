// `bun scripts/embed.ts FOLDER`: writes the package as it is published, which contains the built
// files and needs neither the sources of the page nor its libraries.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { studioFiles } from "../src/files.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("Name the folder to write to.");
mkdirSync(folder, { recursive: true });
writeFileSync(
  join(folder, "files.js"),
  `const FILES = new Map(${JSON.stringify([...(await studioFiles())])});\n` +
    "export async function studioFiles() {\n  return FILES;\n}\n",
);
writeFileSync(
  join(folder, "files.d.ts"),
  "/** A file of Studio's page: its media type and its content. */\n" +
    "export interface StudioFile {\n  readonly type: string;\n  readonly text: string;\n}\n" +
    "/** Returns the files of Studio's page by name. */\n" +
    "export declare function studioFiles(): Promise<ReadonlyMap<string, StudioFile>>;\n",
);
