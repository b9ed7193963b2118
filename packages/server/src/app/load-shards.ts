import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import type { ShardDefinition } from "@pylonsync/functions";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { isRecord } from "../util/is-record.ts";
import { failedImport, isCodeFile } from "./code-file.ts";
import { importAppFile } from "./import-app.ts";

const FOLDER = "shards";
/** What a shard may be named: it is a part of addresses. */
const NAME = /^[\w-]{1,64}$/;

/** The shards of the flat files of the folder; a file's name is what the shard is called by. */
export async function loadShards(
  root: string,
  diagnostics: Diagnostic[],
): Promise<Map<string, ShardDefinition>> {
  const shards = new Map<string, ShardDefinition>();
  const dir = join(root, FOLDER);
  if (!existsSync(dir)) return shards;
  for (const file of (await readdir(dir)).filter(isCodeFile).toSorted()) {
    const name = file.replace(/\.(ts|js)$/, "");
    const path = relative(root, join(dir, file));
    try {
      const { exports } = await importAppFile(join(dir, file), root);
      const definition = exports["default"];
      const mistake = mistakeOf(name, path, definition, shards);
      if (mistake !== null) diagnostics.push(mistake);
      else if (isShard(definition)) shards.set(name, definition);
    } catch (error) {
      diagnostics.push(failedImport("SHARD_FAILED", join(dir, file), root, error));
    }
  }
  return shards;
}

function mistakeOf(
  name: string,
  path: string,
  definition: unknown,
  known: ReadonlyMap<string, ShardDefinition>,
): Diagnostic | null {
  if (!NAME.test(name))
    return errorAt(
      "SHARD_NAME",
      `A shard can't be named "${name.slice(0, 80)}".`,
      path,
      "Name the file by up to 64 letters, digits, - and _.",
    );
  if (known.has(name))
    return errorAt(
      "SHARD_DUPLICATE",
      `Two files name the shard "${name}".`,
      path,
      "Delete one of them.",
    );
  if (isShard(definition)) return null;
  return errorAt(
    "SHARD_NO_EXPORT",
    `${path} exports no shard.`,
    path,
    "End it with `export default shard({...})`; start the name of a helper with _.",
  );
}

/** An app has its own copy of the package, so a shard is known by its form. */
function isShard(value: unknown): value is ShardDefinition {
  return isRecord(value) && value["type"] === "shard" && typeof value["init"] === "function";
}
