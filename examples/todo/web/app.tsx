import { db } from "@pylonsync/react";
import { SignIn } from "./sign-in.tsx";
import { TodoList } from "./todo-list.tsx";
import { Toasts } from "./toasts.tsx";

export function App() {
  const { isLoaded, isAuthenticated, userId } = db.useSession();
  const { connection, ready, pending } = db.useStatus();
  const isOffline = connection === "offline";
  const waiting =
    pending === 0
      ? "Changes are kept and sent later."
      : `${pending} ${pending === 1 ? "change waits" : "changes wait"} to be sent.`;
  return (
    <>
      {isOffline && (
        <div className="banner" role="status">
          You are offline. {isAuthenticated && waiting}
        </div>
      )}
      <main className="card">
        <header>
          <div>
            <h1>Todo</h1>
            <p className="muted">Live on every screen, private until you share it.</p>
          </div>
          {isAuthenticated && (
            <span className={`pill ${connection}`} data-testid="connection">
              {connection === "live" ? "Live" : isOffline ? "Offline" : "Connecting"}
            </span>
          )}
        </header>
        {isLoaded ? (
          isAuthenticated && userId !== null ? (
            <TodoList userId={userId} isReady={ready} />
          ) : (
            <SignIn />
          )
        ) : (
          <p className="empty muted">Loading…</p>
        )}
      </main>
      <Toasts />
    </>
  );
}
