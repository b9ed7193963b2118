import { useCallback } from "react";
import { columnOf, useDocument } from "./use-document.ts";

/**
 * Returns the text of a collaborative field, live, and a function that changes it. The change is
 * merged with those that others make at the same time, also after being offline.
 *
 * The setter finds out what has changed in the text. In a `<textarea>` or `<input>`, prefer
 * `useCollabTextarea`, which also keeps the caret in place.
 *
 * @param entity the name of the entity
 * @param id the row's id
 * @param field a field with `.crdt("text")`, or a rich text
 * @example
 * import { useCollabText } from "@pylonsync/loro";
 *
 * function Title({ id }: { id: string }) {
 *   const [title, setTitle] = useCollabText("Note", id, "title");
 *   return <button onClick={() => setTitle(`${title}!`)}>{title}</button>;
 * }
 */
export function useCollabText(
  entity: string,
  id: string,
  field: string,
): [string, (next: string) => void] {
  const [text, edit] = useDocument(entity, id, {
    read: (document) => document.text(field),
    before: (engine) => columnOf(engine, entity, id, field),
  });
  const setText = useCallback(
    (next: string) => edit((document) => document.setText(field, next)),
    [edit, field],
  );
  return [text, setText];
}
