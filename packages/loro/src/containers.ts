import { LoroMap, LoroText, type LoroDoc } from "loro-crdt";

/** The name of the root map of a row's document. */
const ROOT = "row";

/**
 * Returns the text of a field in the document of a row.
 *
 * @returns an empty text that is not part of the document, if the document has not arrived yet or
 *   the field is not collaborative
 * @example
 * import { getLoroText, useLoroDoc } from "@pylonsync/loro";
 *
 * function Length({ id }: { id: string }) {
 *   return <p>{getLoroText(useLoroDoc("Note", id), "body").length} characters</p>;
 * }
 */
export function getLoroText(document: LoroDoc, key: string): LoroText {
  return textIn(document, key) ?? new LoroText();
}

/**
 * Returns a map of the document of a row: the fields for `"row"`, otherwise the map in the field.
 *
 * @returns an empty map that is not part of the document, if there is none
 * @example
 * import { getLoroMap, useLoroDoc } from "@pylonsync/loro";
 *
 * function Fields({ id }: { id: string }) {
 *   return <p>{getLoroMap(useLoroDoc("Note", id), "row").keys().join(", ")}</p>;
 * }
 */
export function getLoroMap(document: LoroDoc, key: string): LoroMap {
  const root = document.getMap(ROOT);
  if (key === ROOT) return root;
  const map = root.get(key);
  return map instanceof LoroMap ? map : new LoroMap();
}

/** Returns the text of a field; undefined if the document has none. */
export function textIn(document: LoroDoc, field: string): LoroText | undefined {
  const text = document.getMap(ROOT).get(field);
  return text instanceof LoroText ? text : undefined;
}

/** Returns the texts of a document, by field. */
export function textsIn(document: LoroDoc): ReadonlyMap<string, LoroText> {
  const texts = new Map<string, LoroText>();
  for (const field of document.getMap(ROOT).keys()) {
    const text = textIn(document, field);
    if (text !== undefined) texts.set(field, text);
  }
  return texts;
}
