import { db } from "@pylonsync/react";
import { Conversation } from "./conversation.tsx";

export function App() {
  const { isLoaded, isAuthenticated } = db.useSession();
  return (
    <main>
      <h1>Ask the model</h1>
      {isLoaded && !isAuthenticated && (
        <div className="welcome">
          <h2>Ask anything</h2>
          <p>Answers are saved while they are written: close the page, and read on later.</p>
          <button onClick={() => void db.signInAsGuest()}>Continue as guest</button>
        </div>
      )}
      {isAuthenticated && <Conversation />}
    </main>
  );
}
