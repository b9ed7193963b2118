import { createInterface } from "node:readline/promises";
import type { Options } from "./command.ts";
import { CommandError, EXIT, type Output } from "./output.ts";

/** The flags of a command that asks before it changes something. */
export const YES = {
  yes: {
    type: "boolean",
    short: "y",
    summary: "Do not ask for confirmation. Required without a " + "terminal.",
  },
  "no-prompt": { type: "boolean", summary: "The same as --yes." },
} as const satisfies Options;

interface Confirmation {
  readonly options: { readonly yes: boolean; readonly "no-prompt": boolean };
  readonly output: Output;
}

/**
 * Whether the user at the terminal agrees.
 *
 * @throws CommandError CONFIRMATION_NEEDED without a terminal, CONFIRMATION_MISSING if the terminal
 *   closes without an answer
 */
export async function isConfirmed({ options }: Confirmation, question: string): Promise<boolean> {
  if (options.yes || options["no-prompt"]) return true;
  if (!process.stdin.isTTY)
    throw new CommandError(
      "CONFIRMATION_NEEDED",
      `${question} There is no terminal for confirmation, so nothing was changed: add --yes.`,
      EXIT.USAGE,
    );
  const answer = await answerAt(
    createInterface({ input: process.stdin, output: process.stderr }),
    `${question} [y/N] `,
  );
  return /^y(es)?$/i.test(answer.trim());
}

/**
 * Reads the input at a prompt.
 *
 * @throws CommandError CONFIRMATION_MISSING at Ctrl-D and Ctrl-C
 */
export async function answerAt(
  prompt: ReturnType<typeof createInterface>,
  question: string,
): Promise<string> {
  const closed = new Promise<null>((resolve) => {
    prompt.once("close", () => resolve(null));
    prompt.once("SIGINT", () => resolve(null));
  });
  const answer = await Promise.race([prompt.question(question).catch(() => null), closed]);
  prompt.close();
  if (answer !== null) return answer;
  process.stderr.write("\n");
  throw new CommandError("CONFIRMATION_MISSING", "Not confirmed, so nothing was changed.");
}
