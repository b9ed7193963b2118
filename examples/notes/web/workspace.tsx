import { db } from "@pylonsync/react";
import { lazy, Suspense } from "react";
import type { Person } from "../pylon.client.ts";
import { Sidebar } from "./sidebar.tsx";
import { useNoteId } from "./use-route.ts";

// The library that merges texts is large: the list is shown before it is loaded.
const loadEditor = () => import("./open-note.tsx");
const OpenNote = lazy(async () => ({ default: (await loadEditor()).OpenNote }));
void loadEditor();

/** The list of notes, and the open one. */
export function Workspace({ person }: { readonly person: Person }) {
  const noteId = useNoteId();
  const { data: notes } = db.useQuery("Note", { orderBy: { createdAt: "desc" } });
  const { ready } = db.useStatus();
  const note = notes.find(({ id }) => id === noteId);
  return (
    <div className="workspace" data-shows={note === undefined ? "list" : "note"}>
      <Sidebar person={person} notes={notes} openId={noteId} />
      {note === undefined ? (
        <main className="note notice">
          {!ready
            ? "Loading…"
            : notes.length === 0
              ? "Write the first note."
              : "Choose a note, or write a new one."}
        </main>
      ) : (
        <Suspense fallback={<main className="note notice">Loading…</main>}>
          <OpenNote key={note.id} note={note} person={person} />
        </Suspense>
      )}
    </div>
  );
}
