import { PylonError } from "@pylonsync/protocol";
import type { Mailer } from "./mailer.ts";

/** Rejects all mail: the server is not configured to send any. */
export const NO_MAILER: Mailer = {
  canSend: false,
  send: () =>
    Promise.reject(
      new PylonError("EMAIL_NOT_CONFIGURED", "Mail is not configured on this server.", {
        hint: "Set PYLON_EMAIL_PROVIDER.",
      }),
    ),
};
