import { db } from "@pylonsync/react";
import { useState } from "react";

export function SignIn() {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const signIn = async (): Promise<void> => {
    setIsBusy(true);
    try {
      await db.signInAsGuest();
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
      setIsBusy(false);
    }
  };
  return (
    <section className="sign-in">
      <p>No account needed: each guest gets their own list.</p>
      <button className="primary" disabled={isBusy} onClick={() => void signIn()}>
        Continue as guest
      </button>
      {error !== null && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
    </section>
  );
}
