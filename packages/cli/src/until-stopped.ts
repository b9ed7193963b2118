import type { PylonServer } from "@pylonsync/server";

/** Waits for SIGTERM or SIGINT, then stops the server. A second signal ends the process at once. */
export async function untilStopped(server: PylonServer): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(1));
        resolve();
      });
    }
  });
  await server.stop();
}
