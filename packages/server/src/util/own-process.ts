/** What a server learns of a process that it has started. */
export interface OwnProcessEvents<Message> {
  /** The process has sent a message. */
  message(message: Message): void;
  /** The process has ended, by itself or because it was killed. */
  ended(reason: string): void;
}

/**
 * Starts a process that runs code of the server itself, in the format of `serialization` for its
 * messages. It does not keep the server running.
 */
export function startOwnProcess<Message>(
  command: readonly string[],
  serialization: "json" | "advanced",
  events: OwnProcessEvents<Message>,
): Bun.Subprocess {
  const child = Bun.spawn([...command], {
    ipc: (message: Message) => events.message(message),
    serialization,
    stdio: ["ignore", "ignore", "inherit"],
    // The app's folder may contain settings of Bun that are not meant for this process.
    cwd: "/",
    // It does not receive the server's secrets. It must not outlive the server, even if the server
    // is killed while the process is too busy to notice.
    env: { BUN_OPTIONS: "--smol --no-orphans" },
    onExit: (_, code, signal) => events.ended(endReason(code, signal)),
  });
  child.unref();
  return child;
}

/** Says how a process has ended. */
export function endReason(code: number | null, signal: number | string | null): string {
  return signal === null ? `exit code ${String(code)}` : `signal ${String(signal)}`;
}
