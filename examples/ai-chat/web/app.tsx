import { db } from "@pylonsync/react";
import { Conversation } from "./conversation.tsx";

export function App() {
  const { isLoaded, isAuthenticated } = db.useSession();
  return (
    <main>
      <h1>Ask the model</h1>
      {isLoaded && !isAuthenticated && (
        <button onClick={() => void db.signInAsGuest()}>Continue as guest</button>
      )}
      {isAuthenticated && <Conversation />}
    </main>
  );
}
