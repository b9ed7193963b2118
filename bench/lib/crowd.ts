import { join } from "node:path";

/** Many sockets to one server. */
export interface Crowd {
  /** Resolves when every socket has received this many messages since it was opened. */
  readonly received: (messages: number) => Promise<void>;
  readonly stop: () => void;
}

/**
 * Opens sockets from another process; resolves when all are open.
 *
 * @param tokens the tokens of the callers, used in turn; an empty one is anonymous
 */
export async function openCrowd(
  url: string,
  count: number,
  ...tokens: readonly string[]
): Promise<Crowd> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "sockets.ts"), url, String(count), tokens.join()],
    { stdout: "pipe", stderr: "inherit" },
  );
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  const until = async (line: string): Promise<void> => {
    while (!`\n${seen}`.includes(`\n${line}\n`)) {
      const { value, done } = await reader.read();
      if (done) throw new Error("The sockets' process ended.");
      seen += value;
    }
  };
  await until("open");
  return { received: (messages) => until(String(messages)), stop: () => child.kill() };
}
