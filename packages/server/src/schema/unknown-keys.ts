import { nearest } from "@pylonsync/query";
import { isRecord } from "../util/is-record.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { labelOf, type ManifestPath } from "./manifest-label.ts";
import { ManifestShape } from "./manifest-shape.ts";

/**
 * A schema of the validation library, as far as it is traversed: objects, records, lists and
 * wrappers.
 */
interface Shape {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly item?: Shape;
  readonly wrapped?: Shape;
  /** For a record: the schema of its values. */
  readonly value?: Shape;
}

/**
 * Keys that `buildManifest` accepts in addition to those of the manifest, by the last name of the
 * location.
 */
const ONLY_IN_APP: Readonly<Record<string, readonly string[]>> = {
  plugins: [
    "entities",
    "policies",
    "schema",
    "hooks",
    "auth",
    "functions",
    "crons",
    "queues",
    "before",
    "after",
  ],
  auth: ["hooks", "mails"],
  "": ["timestamps", "references"],
};
/** Keys that only `buildManifest` adds. */
const NOT_IN_APP = new Set([
  "manifest_version",
  "custom",
  "max_bytes",
  "format",
  "pattern_flags",
  "on_delete",
  "timestamp",
  "default_by_code",
  "computed",
  "renamed_from",
]);

/**
 * Reports all keys that the manifest does not have, so that a misspelled key is not ignored.
 *
 * @param json a manifest, possibly malformed
 */
export function unknownKeys(json: unknown): Diagnostic[] {
  return [...walk(ManifestShape, json, [], json)];
}

function* walk(
  shape: Shape,
  value: unknown,
  path: ManifestPath,
  manifest: unknown,
): Generator<Diagnostic> {
  const { entries, item, wrapped } = shape;
  if (wrapped !== undefined) yield* walk(wrapped, value, path, manifest);
  if (item !== undefined && Array.isArray(value)) {
    for (const [index, entry] of value.entries())
      yield* walk(item, entry, [...path, index], manifest);
  }
  if (shape.value !== undefined && isRecord(value)) {
    for (const [key, entry] of Object.entries(value))
      yield* walk(shape.value, entry, [...path, key], manifest);
  }
  if (entries === undefined || typeof value !== "object" || value === null || Array.isArray(value))
    return;
  for (const [key, entry] of Object.entries(value)) {
    const known = Object.hasOwn(entries, key) ? entries[key] : undefined;
    if (known === undefined) yield unknownKey(key, Object.keys(entries), path, manifest);
    else yield* walk(known, entry, [...path, key], manifest);
  }
}

function unknownKey(
  key: string,
  entries: readonly string[],
  path: ManifestPath,
  manifest: unknown,
): Diagnostic {
  const place = path.findLast((part) => typeof part === "string") ?? "";
  const known = [...entries.filter((name) => !NOT_IN_APP.has(name)), ...(ONLY_IN_APP[place] ?? [])];
  const meant = nearest(key, known);
  return errorAt(
    "MANIFEST_KEY_UNKNOWN",
    `${labelOf(manifest, path)} has the unknown key "${key.slice(0, 80)}".`,
    pathText([...path, key]),
    meant === undefined ? `Known: ${known.join(", ")}.` : `Did you mean "${meant}"?`,
  );
}

function pathText(path: ManifestPath): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : `${text}${text === "" ? "" : "."}${part}`,
    "",
  );
}
