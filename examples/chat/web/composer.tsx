import { useRef, useState, type FormEvent, type KeyboardEvent } from "react";

const MAX_LENGTH = 4000;

export interface ComposerProps {
  readonly label: string;
  readonly onSend: (text: string) => Promise<unknown>;
  readonly onType?: () => void;
}

/** Enter sends, Shift+Enter begins a new line, and the focus stays. */
export function Composer({ label, onSend, onType }: ComposerProps) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const send = async (): Promise<void> => {
    const sent = text.trim();
    field.current?.focus();
    if (sent === "") return;
    setText("");
    try {
      await onSend(sent);
    } catch {
      // Why is said elsewhere; what was written is not lost.
      setText((newer) => (newer === "" ? sent : newer));
    }
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void send();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    // With an input method, Enter takes the word that is being composed.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };
  return (
    <form className="composer" onSubmit={submit}>
      <textarea
        ref={field}
        aria-label={label}
        placeholder={label}
        rows={1}
        maxLength={MAX_LENGTH}
        autoFocus
        value={text}
        onChange={({ target }) => {
          setText(target.value);
          onType?.();
        }}
        onKeyDown={onKeyDown}
      />
      <button className="primary" disabled={text.trim() === ""}>
        Send
      </button>
    </form>
  );
}
