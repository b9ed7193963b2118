import { nearest } from "@pylonsync/query";
import { errorAt, type Diagnostic } from "./diagnostic.ts";

/** Reports empty and duplicate names. SQLite ignores the case of names. */
export function* duplicates(
  items: readonly { readonly name: string }[],
  kind: string,
  at: string,
): Generator<Diagnostic> {
  const seen = new Map<string, string>();
  for (const [index, { name }] of items.entries()) {
    const path = `${at}[${index}].name`;
    if (name === "")
      yield errorAt(
        kind.endsWith("_NAME") ? `${kind}_EMPTY` : `${kind}_NAME_EMPTY`,
        "A name is empty.",
        path,
      );
    const earlier = seen.get(name.toLowerCase());
    if (earlier !== undefined && name !== "") {
      yield errorAt(
        `${kind}_DUPLICATE`,
        earlier === name
          ? `"${name}" is declared twice.`
          : `"${name}" and "${earlier}" differ only in case.`,
        path,
      );
    }
    seen.set(name.toLowerCase(), name);
  }
}

/** Reports used fields that are not known. */
export function* unknownFields(
  fields: readonly string[],
  known: ReadonlySet<string>,
  code: string,
  what: string,
  at: string,
): Generator<Diagnostic> {
  for (const field of fields) {
    if (!known.has(field))
      yield errorAt(
        code,
        `${what} uses the field "${field}", which does not exist.`,
        at,
        didYouMean(field, known),
      );
  }
}

/** Returns a hint with the nearest known name; undefined if none is near. */
export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const meant = nearest(name, known);
  return meant === undefined ? undefined : `Did you mean "${meant}"?`;
}
