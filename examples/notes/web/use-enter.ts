import { db } from "@pylonsync/react";
import { useState } from "react";

/** The state of a sign-in. */
export interface Entering {
  readonly enter: (name: string) => Promise<void>;
  readonly isBusy: boolean;
  readonly error: string | null;
}

/** Signs in as a guest, and sets a name. */
export function useEnter(): Entering {
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const enter = async (name: string): Promise<void> => {
    setIsBusy(true);
    setError(null);
    try {
      const { session } = db.sync;
      const userId = session.current.userId ?? (await session.signInAsGuest()).userId;
      await db.insert("Person", { userId, name: name.trim() });
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
    } finally {
      setIsBusy(false);
    }
  };
  return { enter, isBusy, error };
}
