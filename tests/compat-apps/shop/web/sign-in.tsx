import { db, getBaseUrl, storageKey } from "@pylonsync/react";
import { useState, type ReactElement } from "react";

async function register(email: string): Promise<void> {
  const response = await fetch(`${getBaseUrl()}/api/auth/password/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email, password: "correct horse battery" }),
  });
  const { token } = (await response.json()) as { token: string };
  localStorage.setItem(storageKey("token"), token);
  await db.sync.pull();
}

/** Shown next to the public part, so that the engine runs before a sign-in. */
export function SignIn(): ReactElement {
  const [email, setEmail] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void register(email);
      }}
    >
      <input aria-label="E-mail" value={email} onChange={(event) => setEmail(event.target.value)} />
      <button type="submit">Create account</button>
    </form>
  );
}
