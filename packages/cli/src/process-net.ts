/**
 * Keeps a server up when a promise that nobody waits for rejects, which a function of the app may
 * leave behind: one careless handler must not end the connections of all.
 */
export function keepAliveOnUnhandledRejection(): void {
  process.on("unhandledRejection", (reason) => {
    const error = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    process.stderr.write(
      `${JSON.stringify({ time: new Date().toISOString(), level: "error", message: "a promise that nobody waits for was rejected", error })}\n`,
    );
  });
}
