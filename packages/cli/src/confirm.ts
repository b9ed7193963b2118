import { createInterface } from "node:readline/promises";
import type { Options } from "./command.ts";
import type { Output } from "./output.ts";

/** The flags of a command that asks before it changes something. */
export const YES = {
  yes: { type: "boolean", short: "y", summary: "Do not ask." },
  "no-prompt": { type: "boolean", summary: "The same as --yes." },
} as const satisfies Options;

interface Asked {
  readonly options: { readonly yes: boolean; readonly "no-prompt": boolean };
  readonly output: Output;
}

/** Whether the person at the terminal agrees; where there is none, who calls the command has agreed. */
export async function isConfirmed({ options, output }: Asked, question: string): Promise<boolean> {
  if (options.yes || options["no-prompt"] || output.isJson || !process.stdin.isTTY) return true;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${question} [y/N] `);
  prompt.close();
  return /^y(es)?$/i.test(answer.trim());
}
