import type { RegisteredEntities } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useEffect, useState } from "react";
import { useEngine } from "../provider.tsx";
import { useSession } from "../session.ts";

/** The user's row, without the fields that the app hides. */
export type User = RegisteredEntities extends { readonly User: infer Row }
  ? Row
  : Readonly<Record<string, unknown>> & { readonly id: string };

/** The signed-in user, as `useUser` returns it. */
export interface UserState {
  /** Null: nobody is signed in, or a guest, or it is not known yet. */
  readonly user: User | null;
  readonly isLoading: boolean;
}

/**
 * The signed-in user's row, as `GET /api/auth/session` shows it. For a row that follows every
 * change, use `db.useQueryOne("User", userId)`.
 *
 * @param given by default the engine of the provider above, or the app's
 * @example
 * function Greeting() {
 *   const { user, isLoading } = useUser();
 *   return isLoading ? null : <p>Hello {user?.displayName ?? "guest"}</p>;
 * }
 */
export function useUser(given?: SyncEngine): UserState {
  const sync = useEngine(given);
  const { userId, isGuest, isLoaded } = useSession(sync);
  const [found, setFound] = useState<{ readonly id: string; readonly user: User | null } | null>(
    null,
  );
  const wanted = isGuest ? null : userId;
  useEffect(() => {
    if (wanted === null) return undefined;
    let isGone = false;
    sync.request("GET", "/api/auth/session").then(
      (answer) =>
        isGone || setFound({ id: wanted, user: (answer as { readonly user: User | null }).user }),
      // Who it is, is known; only the row is not.
      () => isGone || setFound({ id: wanted, user: null }),
    );
    return () => {
      isGone = true;
    };
  }, [sync, wanted]);
  if (wanted === null) return { user: null, isLoading: !isLoaded };
  return found?.id === wanted
    ? { user: found.user, isLoading: false }
    : { user: null, isLoading: true };
}

/** The user's name, else the e-mail address. */
export function nameOfUser(user: User | null): string {
  const fields = user as Readonly<Record<string, unknown>> | null;
  const known = [fields?.["displayName"], fields?.["name"], fields?.["email"]].find(
    (value) => typeof value === "string" && value !== "",
  );
  return typeof known === "string" ? known : "Account";
}

/** The user's address; empty where the app hides it, or there is none. */
export function emailOfUser(user: User | null): string {
  const email = (user as Readonly<Record<string, unknown>> | null)?.["email"];
  return typeof email === "string" ? email : "";
}
