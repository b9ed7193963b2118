import { db } from "@pylonsync/react";
import { useState } from "react";
import { openChannel } from "./use-route.ts";

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
      // If the first attempt was interrupted between the two calls, the user is already signed in.
      if (db.sync.session.current.userId === null) await db.signInAsGuest();
      const { channelId } = await db.fn("enter", { name });
      openChannel(channelId);
    } catch (cause) {
      setError(cause instanceof Error ? cause.message : String(cause));
    } finally {
      setIsBusy(false);
    }
  };
  return { enter, isBusy, error };
}
