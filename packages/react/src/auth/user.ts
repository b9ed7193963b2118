import type { RegisteredRows } from "@pylonsync/sdk";
import { parseAnswer, type SyncEngine } from "@pylonsync/sync";
import { useEffect, useState } from "react";
import * as v from "valibot";
import { useEngine } from "../provider.tsx";
import { useSession } from "../session.ts";

/** The user's row, without hidden fields. */
export type User = RegisteredRows extends { readonly User: infer Row }
  ? Row
  : Readonly<Record<string, unknown>> & { readonly id: string };

const SessionSchema = v.object({
  user: v.nullable(v.custom<User>((row) => typeof row === "object")),
});

/** The result of `useUser`. */
export interface UserState {
  /** Null for signed-out visitors and guests, and until the user is known. */
  readonly user: User | null;
  readonly isLoading: boolean;
}

/**
 * The signed-in user's row, as returned by `GET /api/auth/session`. It is not live: to follow every
 * change, use `db.useQueryOne("User", userId)`.
 *
 * @param given default: the engine of the nearest provider, or the app's
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
    readUser(sync).then(
      (user) => isGone || setFound({ id: wanted, user }),
      // The session is known, but the row is not loaded yet.
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

async function readUser(sync: SyncEngine): Promise<User | null> {
  return parseAnswer(SessionSchema, await sync.request("GET", "/api/auth/session")).user;
}

type Fields = Readonly<Record<string, unknown>>;

/** Returns the user's name, or the email address. */
export function nameOfUser(user: User | null): string {
  const fields: Fields | null = user;
  const known = [fields?.["displayName"], fields?.["name"], fields?.["email"]].find(
    (value) => typeof value === "string" && value !== "",
  );
  return typeof known === "string" ? known : "Account";
}

/** Returns the user's email address; empty if it is hidden or missing. */
export function emailOfUser(user: User | null): string {
  const fields: Fields | null = user;
  const email = fields?.["email"];
  return typeof email === "string" ? email : "";
}
