import { useCollabTextarea } from "@pylonsync/loro";
import { db, useRoom } from "@pylonsync/react";
import type { Note, Person } from "../pylon.client.ts";
import { PeopleHere } from "./people-here.tsx";
import { HOME } from "./use-route.ts";
import { useWriting } from "./use-writing.ts";

export interface OpenNoteProps {
  readonly note: Note;
  readonly person: Person;
}

/** A note that everyone edits at once: its title and its text. */
export function OpenNote({ note, person }: OpenNoteProps) {
  const { id, authorId } = note;
  const room = useRoom(`note/${id}`, person.userId, { initialPresence: { isWriting: false } });
  const title = useCollabTextarea("Note", id, "title");
  const body = useCollabTextarea("Note", id, "body");
  const noteWriting = useWriting(room.setPresence);
  const { connection } = db.useStatus();
  const words = body.value.match(/\S+/g)?.length ?? 0;
  return (
    <main className="note">
      <header>
        <a className="back" href={HOME} aria-label="All notes">
          ‹
        </a>
        <PeopleHere peers={room.peers} />
        {authorId === person.userId && (
          <button className="quiet" onClick={() => void remove(id)}>
            Delete
          </button>
        )}
      </header>
      <div className="page" onInput={noteWriting}>
        <input
          {...title}
          className="title"
          aria-label="Title"
          placeholder="Untitled"
          autoFocus={note.title === "" && note.body === ""}
        />
        <textarea
          {...body}
          className="body"
          aria-label="Text"
          placeholder="Write something. Others see it as you type."
        />
      </div>
      <footer>
        <span>{words === 1 ? "1 word" : `${words} words`}</span>
        {connection === "offline" && (
          <span role="status">You are offline. Your changes are merged later.</span>
        )}
      </footer>
    </main>
  );
}

async function remove(id: string): Promise<void> {
  location.hash = HOME;
  await db.delete("Note", id);
}
