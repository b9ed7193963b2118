import type { RegisteredRows } from "@pylonsync/sdk";
import { parseAnswer, type SyncEngine } from "@pylonsync/sync";
import { useEffect, useState } from "react";
import * as v from "valibot";
import { useEngine } from "../provider.tsx";
import { useSession } from "../session.ts";

/** The user's row, without the fields that the app hides. */
export type User = RegisteredRows extends { readonly User: infer Row }
  ? Row
  : Readonly<Record<string, unknown>> & { readonly id: string };

const SessionSchema = v.object({
  user: v.nullable(v.custom<User>((row) => typeof row === "object")),
});

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
    readUser(sync).then(
      (user) => isGone || setFound({ id: wanted, user }),
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

async function readUser(sync: SyncEngine): Promise<User | null> {
  return parseAnswer(SessionSchema, await sync.request("GET", "/api/auth/session")).user;
}

type Fields = Readonly<Record<string, unknown>>;

/** The user's name, else the e-mail address. */
export function nameOfUser(user: User | null): string {
  const fields: Fields | null = user;
  const known = [fields?.["displayName"], fields?.["name"], fields?.["email"]].find(
    (value) => typeof value === "string" && value !== "",
  );
  return typeof known === "string" ? known : "Account";
}

/** The user's address; empty where the app hides it, or there is none. */
export function emailOfUser(user: User | null): string {
  const fields: Fields | null = user;
  const email = fields?.["email"];
  return typeof email === "string" ? email : "";
}
