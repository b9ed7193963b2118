import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { MAIN_FILE } from "./main-file.ts";

/** How the command is started; a test of the executable sets that instead. */
export const COMMAND: readonly string[] = [
  process.execPath,
  "--no-env-file",
  "--no-install",
  MAIN_FILE,
];

type Environment = Readonly<Record<string, string>>;

export interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A clean environment without the developer's own settings. No load balancer needs time to notice
 * that a server of a test stops.
 */
function environment(env: Environment): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", HOME: tmpdir(), PYLON_DRAIN_DELAY_SECS: "0", ...env };
}

/** Runs a command of pylon that ends on its own. */
export async function pylon(
  args: readonly string[],
  cwd: string,
  env: Environment = {},
  command = COMMAND,
  stdin = "",
): Promise<Result> {
  return run([...command, ...args], cwd, environment(env), stdin);
}

/** Runs a program that ends on its own, such as npm, in the developer's own environment. */
export function program(
  command: readonly string[],
  cwd: string,
  env: Environment = {},
): Promise<Result> {
  return run(command, cwd, { ...process.env, ...env }, "");
}

async function run(
  command: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
  stdin: string,
): Promise<Result> {
  const child = Bun.spawn([...command], {
    cwd,
    env,
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

/**
 * Runs a command of pylon at a terminal.
 *
 * @param typed sent once the text before it was shown
 * @returns the complete output of the terminal
 */
export async function pylonAtTerminal(
  args: readonly string[],
  cwd: string,
  [shown, typed]: readonly [shown: string, typed: string],
): Promise<{ readonly exitCode: number; readonly screen: string }> {
  let screen = "";
  let isTyped = false;
  const decoder = new TextDecoder();
  const { promise: allShown, resolve: onEnd } = Promise.withResolvers<void>();
  const child = Bun.spawn([...COMMAND, ...args], {
    cwd,
    env: environment({}),
    terminal: {
      cols: 200,
      data(terminal, data) {
        screen += decoder.decode(data, { stream: true });
        if (isTyped || !screen.includes(shown)) return;
        isTyped = true;
        terminal.write(typed);
      },
      exit: () => onEnd(),
    },
  });
  const exitCode = await child.exited;
  await allShown;
  child.terminal?.close();
  return { exitCode, screen };
}

/** A running `dev` or `start`, read as its JSON events. */
export class PylonProcess implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #events: AsyncGenerator<Record<string, unknown>>;
  #said = "";
  #waiting: (() => void)[] = [];
  /** The complete stderr, once the process has ended. */
  readonly stderr: Promise<string>;

  constructor(args: readonly string[], cwd: string, env: Environment = {}, command = COMMAND) {
    this.#child = Bun.spawn([...command, ...args, "--json"], {
      cwd,
      env: environment(env),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#events = jsonLines(this.#child.stdout);
    this.stderr = this.#listen(this.#child.stderr);
  }

  /** Resolves once the process has written this to stderr. @throws Error if it ends without it */
  async said(text: string): Promise<void> {
    let isOver = false;
    void this.stderr.then(() => {
      isOver = true;
      this.#wake();
    });
    while (!this.#said.includes(text)) {
      if (isOver) throw new Error(`pylon ended without "${text}": ${this.#said}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async #listen(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#said += decoder.decode(chunk, { stream: true });
      this.#wake();
    }
    return this.#said;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Returns the next event. @throws Error with the output if the process ended instead */
  async event(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#events.next();
    if (done === true) throw new Error(`pylon ended: ${await this.stderr}`);
    return value;
  }

  /** Sends the signal. @returns the exit code */
  async end(signal: "SIGTERM" | "SIGINT" = "SIGTERM"): Promise<number> {
    this.#child.kill(signal);
    return this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

async function* jsonLines(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<Record<string, unknown>> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      yield JSON.parse(text.slice(0, end)) as Record<string, unknown>;
      text = text.slice(end + 1);
    }
  }
}

/** A folder outside the repository that is deleted after its block. */
export class TempFolder implements Disposable {
  readonly path = realpathSync(mkdtempSync(join(tmpdir(), "pylon-cli-")));

  /** Writes files by their path in the folder. */
  write(files: Readonly<Record<string, string>>): void {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.path, file)), { recursive: true });
      writeFileSync(join(this.path, file), text);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** An app with a Note of the given fields. */
export function noteApp(fields: string): string {
  return `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "notes", version: "1.0.0", access: "public",
  entities: [entity("Note", { ${fields} })] });
`;
}

/** A query that returns an expression. */
export function queryOf(expression: string): string {
  return (
    'import { query } from "@pylonsync/functions";\nexport default query({ handler: (ctx) => ' +
    `(${expression}) });\n`
  );
}

/** Calls a function of a running server. */
export async function callFn(port: unknown, name: string): Promise<unknown> {
  const response = await fetch(`http://localhost:${String(port)}/api/fn/${name}`, {
    method: "POST",
    body: "{}",
  });
  return response.json();
}
