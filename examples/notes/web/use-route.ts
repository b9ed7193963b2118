import { useSyncExternalStore } from "react";

/** The URL of the list of notes, which a phone shows alone. */
export const HOME = "#/";

/** The URL of a note. */
export function hrefOf(noteId: string): string {
  return `#/${noteId}`;
}

/** The id of the note in the URL's hash, `#/NOTE`; the browser's back button works. */
export function useNoteId(): string | null {
  const hash = useSyncExternalStore(onHashChange, () => location.hash);
  const [, noteId = ""] = hash.split("/");
  return noteId || null;
}

function onHashChange(notify: () => void): () => void {
  addEventListener("hashchange", notify);
  return () => removeEventListener("hashchange", notify);
}
