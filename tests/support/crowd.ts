import { join } from "node:path";
import { until } from "./client.ts";
import { withOpenFiles } from "./container-limits.ts";

interface Report {
  /** The number of sockets that are open and up to date now. */
  readonly open: number;
  /** The number of sockets that were, counted again for each connection. */
  readonly opened: number;
  /** By mark: the number of sockets that have received it. */
  readonly heard: Readonly<Record<string, number>>;
}

/**
 * Thousands of live clients in a separate process, which reconnect whenever their connection is
 * closed.
 */
export class Crowd implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  #report: Report = { open: 0, opened: 0, heard: {} };

  /** @param tokens the tokens of the clients, used in turn */
  constructor(url: string, count: number, tokens: readonly string[]) {
    const command = [
      process.execPath,
      join(import.meta.dir, "crowd-process.ts"),
      url,
      String(count),
      ...tokens,
    ];
    this.#child = Bun.spawn(withOpenFiles(command), {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#read();
  }

  get report(): Report {
    return this.#report;
  }

  /**
   * Waits until its report is as wanted.
   *
   * @throws Error with the last report if it does not become so in time
   */
  async until(isWanted: (report: Report) => boolean, withinMs: number): Promise<void> {
    await until(() => isWanted(this.#report), withinMs).catch(() => {
      throw new Error(`The crowd came no further than ${JSON.stringify(this.#report)}.`);
    });
  }

  async #read(): Promise<void> {
    let text = "";
    for await (const chunk of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      const last = lines.at(-1);
      if (last !== undefined) this.#report = JSON.parse(last) as Report;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}
