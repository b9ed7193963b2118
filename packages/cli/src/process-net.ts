/**
 * Keeps a server running after an unhandled rejection, which a function of the app may cause: one
 * careless handler must not end all connections.
 */
export function keepAliveOnUnhandledRejection(): void {
  process.on("unhandledRejection", (reason) => {
    const error = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    const time = new Date().toISOString();
    const message = "unhandled promise rejection";
    process.stderr.write(`${JSON.stringify({ time, level: "error", message, error })}\n`);
  });
}
