import { useState, type FormEvent } from "react";
import { SearchResults } from "./search-results.tsx";

export interface SearchPaneProps {
  readonly channelId: string;
  readonly onClose: () => void;
}

/** Finds messages of the channel by their text. */
export function SearchPane({ channelId, onClose }: SearchPaneProps) {
  const [text, setText] = useState("");
  const [asked, setAsked] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setAsked(text.trim());
  };
  return (
    <aside className="pane search" aria-label="Search">
      <header>
        <form role="search" onSubmit={submit}>
          <input
            type="search"
            aria-label="Search messages"
            placeholder="Words, as they were written"
            maxLength={100}
            autoFocus
            value={text}
            onChange={({ target }) => setText(target.value)}
          />
        </form>
        <button className="quiet" onClick={onClose} aria-label="Close search">
          ✕
        </button>
      </header>
      {asked === "" ? (
        <p className="notice">Press Enter to search this channel.</p>
      ) : (
        <SearchResults channelId={channelId} text={asked} />
      )}
    </aside>
  );
}
