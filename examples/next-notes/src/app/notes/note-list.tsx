"use client";
import { db, usePreloadedQuery, useSession, type Preloaded } from "@pylonsync/next";
import { useState, type FormEvent } from "react";

export function NoteList({ preloaded }: { readonly preloaded: Preloaded<"Note"> }) {
  const { data: notes } = usePreloadedQuery(preloaded);
  const { userId } = useSession();
  const { connection } = db.useStatus();
  const [text, setText] = useState("");
  const add = (event: FormEvent): void => {
    event.preventDefault();
    if (text === "" || userId === null) return;
    void db.insert("Note", { text, ownerId: userId });
    setText("");
  };
  return (
    <>
      <form className="pylon-form" onSubmit={add}>
        <label className="pylon-field">
          <span>New note</span>
          <input value={text} onChange={({ target }) => setText(target.value)} />
        </label>
        <button className="pylon-button">Add</button>
      </form>
      <ul className="notes" data-connection={connection}>
        {notes.map(({ id, text: shown }) => (
          <li key={id}>{shown}</li>
        ))}
      </ul>
    </>
  );
}
