import { db } from "@pylonsync/react";
import type { Note, Person } from "../pylon.client.ts";
import { ConnectionState } from "./connection-state.tsx";
import { hrefOf } from "./use-route.ts";

export interface SidebarProps {
  readonly person: Person;
  readonly notes: readonly Note[];
  readonly openId: string | null;
}

/** All notes, with the texts of their rows: these change while others write. */
export function Sidebar({ person, notes, openId }: SidebarProps) {
  const add = async (): Promise<void> => {
    const id = await db.insert("Note", { title: "", body: "", authorId: person.userId });
    location.hash = hrefOf(id);
  };
  return (
    <nav className="sidebar" aria-label="Notes">
      <header>
        <h1>Notes</h1>
        <button className="primary" onClick={() => void add()}>
          New note
        </button>
      </header>
      <ul>
        {notes.map(({ id, title, body }) => (
          <li key={id}>
            <a href={hrefOf(id)} aria-current={id === openId ? "page" : undefined}>
              <span className="title">{title.trim() || "Untitled"}</span>
              <span className="preview">{firstLineOf(body) || "No text yet"}</span>
            </a>
          </li>
        ))}
      </ul>
      <ConnectionState name={person.name} />
    </nav>
  );
}

function firstLineOf(text: string): string {
  return /\S.*/.exec(text)?.[0].slice(0, 80) ?? "";
}
