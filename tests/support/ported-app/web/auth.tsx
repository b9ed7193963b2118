// A sign-in page in the style of apps of the public system: with plain fetch, and the token is
// stored by hand.
import { db, getBaseUrl, storageKey } from "@pylonsync/react";
import { useState, type ReactElement, type SyntheticEvent } from "react";

interface AuthAnswer {
  token?: string;
  error?: { code: string; message: string };
}

async function signIn(mode: "login" | "register", email: string, password: string): Promise<void> {
  const response = await fetch(`${getBaseUrl()}/api/auth/password/${mode}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
  const answer = (await response.json()) as AuthAnswer;
  if (answer.token === undefined) throw new Error(answer.error?.message ?? "It did not work");
  localStorage.setItem(storageKey("token"), answer.token);
  await db.sync.pull();
}

export async function signOut(): Promise<void> {
  const token = localStorage.getItem(storageKey("token"));
  await fetch(`${getBaseUrl()}/api/auth/session`, {
    method: "DELETE",
    headers: { Authorization: `Bearer ${token}` },
  });
  localStorage.removeItem(storageKey("token"));
  await db.sync.pull();
}

export function AuthScreen(): ReactElement {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<string | null>(null);
  const submit = (mode: "login" | "register") => (event: SyntheticEvent) => {
    event.preventDefault();
    signIn(mode, email, password).catch((cause: unknown) => {
      setError(cause instanceof Error ? cause.message : String(cause));
    });
  };
  return (
    <form onSubmit={submit("login")}>
      <input aria-label="E-mail" value={email} onChange={(event) => setEmail(event.target.value)} />
      <input
        aria-label="Password"
        type="password"
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
      <button type="submit">Log in</button>
      <button type="button" onClick={submit("register")}>
        Create account
      </button>
      {error !== null && <p role="alert">{error}</p>}
    </form>
  );
}
