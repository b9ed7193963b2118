import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { answerAt } from "../confirm.ts";

/**
 * Reads a secret: typed without being shown, or from a pipe. Never from the command line, which
 * others can read in the list of processes and in the shell's history.
 *
 * @returns the secret without the trailing line break
 * @throws CommandError if the terminal closes without an answer
 */
export async function readSecret(question: string): Promise<string> {
  if (!process.stdin.isTTY)
    return (await new Response(Bun.stdin.stream()).text()).replace(/\r?\n$/, "");
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  // From here on the terminal does not show what is typed.
  process.stderr.write(question);
  const answer = await answerAt(prompt, "");
  process.stderr.write("\n");
  return answer;
}
