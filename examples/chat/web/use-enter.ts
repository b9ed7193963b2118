import { db } from "@pylonsync/react";
import { useState } from "react";
import { openChannel } from "./use-route.ts";

/** How a sign-in goes. */
export interface Entering {
  readonly enter: (name: string) => Promise<void>;
  readonly isBusy: boolean;
  readonly error: string | null;
}

/** Signs in as a guest, and takes a name. */
export function useEnter(): Entering {
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const enter = async (name: string): Promise<void> => {
    setIsBusy(true);
    setError(null);
    try {
      // Somebody whose first try was cut off between the two calls is signed in already.
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
