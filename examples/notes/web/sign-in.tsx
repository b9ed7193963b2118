import { useState, type FormEvent } from "react";
import type { Entering } from "./use-enter.ts";

export function SignIn({ enter, isBusy, error }: Entering) {
  const [name, setName] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void enter(name);
  };
  return (
    <main className="sign-in">
      <h1>Notes</h1>
      <p className="muted">
        Write together, on every screen. No account needed: choose the name that others see.
      </p>
      <form onSubmit={submit}>
        <input
          aria-label="Your name"
          placeholder="Your name"
          maxLength={40}
          required
          autoFocus
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
        <button className="primary" disabled={isBusy}>
          {isBusy ? "One moment…" : "Open the notebook"}
        </button>
      </form>
      {error !== null && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
    </main>
  );
}
