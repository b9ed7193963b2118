import { db } from "@pylonsync/react";
import { useState, type FormEvent } from "react";

export function SignIn({ isLoading }: { readonly isLoading: boolean }) {
  const [name, setName] = useState("");
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const enter = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setIsBusy(true);
    setError(null);
    try {
      if (db.sync.session.current.userId === null) await db.signInAsGuest();
      await db.fn("enter", { name });
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
      setIsBusy(false);
    }
  };
  return (
    <main className="sign-in">
      <h1>
        Arena<span>60 bots, you, and anyone who opens this page</span>
      </h1>
      <form onSubmit={(event) => void enter(event)}>
        <input
          aria-label="Your name"
          placeholder="Your name"
          maxLength={20}
          required
          autoFocus
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
        <button className="primary" disabled={isBusy || isLoading}>
          {isBusy ? "One moment…" : "Play"}
        </button>
      </form>
      <p className="muted">
        Collect gems. <kbd>W</kbd> <kbd>A</kbd> <kbd>S</kbd> <kbd>D</kbd> or a finger flies,{" "}
        <kbd>Space</kbd> or a second finger dashes: ram others to take their gems. <kbd>E</kbd>{" "}
        fires at the nearest ship.
      </p>
      {error !== null && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
    </main>
  );
}
