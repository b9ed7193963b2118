import type { SyncEngine } from "@pylonsync/sync";
import { createContext, useContext } from "react";
import type { Api } from "./api.ts";
import type { App } from "./model.ts";

/** What all parts of the page use. */
export interface Studio {
  readonly api: Api;
  /** Its live queries return what the admin may read: every row. */
  readonly engine: SyncEngine;
  readonly app: App;
  readonly isDev: boolean;
  /** Whether `/studio/mail` shows the mails that dev mode does not send. */
  readonly hasMailbox: boolean;
}

/** The context that the page provides. */
export const StudioContext = createContext<Studio | null>(null);

/** Returns what all parts of the page use. */
export function useStudio(): Studio {
  const studio = useContext(StudioContext);
  if (studio === null) throw new Error("This part is outside of Studio.");
  return studio;
}
