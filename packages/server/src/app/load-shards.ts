import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import type { ShardDefinition } from "@pylonsync/functions";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { isRecord } from "../util/is-record.ts";
import { failedImport, isCodeFile } from "./code-file.ts";
import { forgetApp, importAppFile } from "./import-app.ts";

/** The shards of an app, and the file that defines each. */
export interface LoadedShards {
  readonly shards: ReadonlyMap<string, ShardDefinition>;
  readonly shardFiles: ReadonlyMap<string, string>;
}

const FOLDER = "shards";
/** The format of a shard's name, which is a part of addresses. */
const NAME = /^[\w-]{1,64}$/;

/** Loads the shards from the folder's top-level files; a file's name is the name of the shard. */
export async function loadShards(root: string, diagnostics: Diagnostic[]): Promise<LoadedShards> {
  const shards = new Map<string, ShardDefinition>();
  const shardFiles = new Map<string, string>();
  const dir = join(root, FOLDER);
  if (!existsSync(dir)) return { shards, shardFiles };
  for (const file of readdirSync(dir).filter(isCodeFile).toSorted()) {
    const name = file.replace(/\.(ts|js)$/, "");
    const path = relative(root, join(dir, file));
    try {
      const { exports } = await importAppFile(join(dir, file), root);
      const definition = exports["default"];
      const mistake = mistakeOf(name, path, definition, shards);
      if (mistake !== null) diagnostics.push(mistake);
      else if (isShard(definition)) {
        shards.set(name, definition);
        shardFiles.set(name, join(dir, file));
      }
    } catch (error) {
      diagnostics.push(failedImport("SHARD_FAILED", join(dir, file), root, error));
    }
  }
  return { shards, shardFiles };
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
      `"${name.slice(0, 80)}" is not a valid name for a shard.`,
      path,
      "Use at most 64 letters, digits, - and _ in the file name.",
    );
  if (known.has(name))
    return errorAt(
      "SHARD_DUPLICATE",
      `Two files define the shard "${name}".`,
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

/** An app has its own copy of the package, so a shard is recognized by its properties. */
function isShard(value: unknown): value is ShardDefinition {
  return isRecord(value) && value["type"] === "shard" && typeof value["init"] === "function";
}

/**
 * Loads the code of one shard, without modules that were loaded before.
 *
 * @throws what the file throws, or Error when it exports no shard
 */
export async function loadShard(file: string, root: string): Promise<ShardDefinition> {
  forgetApp({ dir: root });
  const { exports } = await importAppFile(file, root);
  const definition = exports["default"];
  if (isShard(definition)) return definition;
  throw new Error(`${file} exports no shard.`);
}
