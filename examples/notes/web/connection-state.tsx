import { db } from "@pylonsync/react";
import { Avatar } from "./avatar.tsx";

/** The user's name, and whether changes reach the server. */
export function ConnectionState({ name }: { readonly name: string }) {
  const { connection } = db.useStatus();
  const isOffline = connection === "offline";
  return (
    <footer className="me">
      <Avatar name={name} />
      <span className="name">{name}</span>
      <span className={`state ${connection}`} role="status" data-testid="connection">
        {connection === "live" ? "Live" : isOffline ? "Offline" : "Connecting"}
      </span>
    </footer>
  );
}
