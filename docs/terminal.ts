import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const END = "--end-of-block--";

/**
 * A shell that stays open, as a person's does: a variable that was set and a folder that was
 * entered are there for the next block.
 */
export class Terminal {
  readonly #files = mkdtempSync(join(tmpdir(), "pylon-terminal-"));
  readonly #shell: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #output: AsyncIterator<Uint8Array>;
  readonly #errors: Promise<string>;
  readonly #decoder = new TextDecoder();
  #text = "";
  #started = 0;

  constructor(cwd: string, env: Readonly<Record<string, string>>) {
    this.#shell = Bun.spawn(["bash", "-u", "-o", "pipefail"], {
      cwd,
      env,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#output = this.#shell.stdout[Symbol.asyncIterator]();
    this.#errors = new Response(this.#shell.stderr).text();
    // What goes on behind it ends with it, also when a block has failed.
    void this.#shell.stdin.write("trap 'kill -TERM $(jobs -p) 2>/dev/null' EXIT\n");
  }

  /**
   * Runs a block to its end.
   *
   * @returns what it printed
   * @throws Error with `where` when one of its lines fails
   */
  async run(code: string, where: string): Promise<string> {
    // A line that fails ends the shell, and no later block runs.
    await this.#shell.stdin.write(`set -e\n${code}\nset +e\nprintf '\\n${END}\\n'\n`);
    await this.#shell.stdin.flush();
    for (;;) {
      const end = this.#text.indexOf(`\n${END}\n`);
      if (end !== -1) {
        const printed = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + END.length + 2);
        return printed;
      }
      const { value, done } = await this.#output.next();
      if (done === true) throw new Error(`${where} failed:\n${this.#text}${await this.#errors}`);
      this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  /**
   * Starts what does not end by itself.
   *
   * @returns what it has printed so far, and a way to end it as Ctrl+C does
   */
  async start(
    command: string,
  ): Promise<{ readonly output: () => string; readonly stop: () => Promise<void> }> {
    const file = join(this.#files, `${(this.#started += 1)}.txt`);
    // A shell without a person in front keeps Ctrl+C from what runs behind it; SIGTERM means the
    // same to the command.
    await this.run(`${command} >"${file}" 2>&1 &`, command);
    return {
      output: () => readFileSync(file, "utf8"),
      stop: async () =>
        void (await this.run(`kill -TERM $!; wait $! || true`, `the end of ${command}`)),
    };
  }

  async close(): Promise<void> {
    await this.#shell.stdin.end();
    await this.#shell.exited;
    rmSync(this.#files, { recursive: true, force: true });
  }
}
