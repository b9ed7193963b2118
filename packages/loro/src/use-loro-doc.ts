import { LoroDoc } from "loro-crdt";
import { useMemo } from "react";
import { useDocument } from "./use-document.ts";

/**
 * Returns the Loro document of a row, and renders the component after each change. Local changes
 * are sent after `commit`; they may only edit the texts that the document contains, because the
 * server creates these.
 *
 * The document is another object after the server has rejected changes, or the user has changed.
 *
 * @example
 * import { getLoroText, useLoroDoc } from "@pylonsync/loro";
 *
 * function AddLine({ id }: { id: string }) {
 *   const document = useLoroDoc("Note", id);
 *   const add = () => {
 *     getLoroText(document, "body").push("\n- ");
 *     document.commit();
 *   };
 *   return <button onClick={add}>Add a line</button>;
 * }
 */
export function useLoroDoc(entity: string, id: string): LoroDoc {
  const empty = useMemo(() => new LoroDoc(), []);
  const [{ doc }] = useDocument<DocumentState>(entity, id, {
    read: (document) => document.state,
    before: () => EMPTY,
  });
  return doc ?? empty;
}

/** A document in one of its states: another object after each change, so that React notices it. */
export interface DocumentState {
  readonly doc: LoroDoc | null;
}

const EMPTY: DocumentState = { doc: null };
