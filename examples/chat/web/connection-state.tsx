import { db } from "@pylonsync/react";
import { Avatar } from "./avatar.tsx";

/** The user's name, and whether writes reach the server. */
export function ConnectionState({ name }: { readonly name: string }) {
  const { connection, pending } = db.useStatus();
  const isOffline = connection === "offline";
  const state = connection === "live" ? "Live" : isOffline ? "Offline" : "Connecting";
  const waiting = `${pending} to send`;
  return (
    <footer className="me">
      <Avatar name={name} />
      <span className="name">{name}</span>
      <span className={`state ${connection}`} role="status" data-testid="connection">
        {isOffline && pending > 0 ? `${state}, ${waiting}` : state}
      </span>
    </footer>
  );
}
