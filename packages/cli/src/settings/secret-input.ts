import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

/**
 * A secret from whoever calls: typed without being shown, or from a pipe. Never from the command line, which others can read in the list
 * of processes and in the shell's history.
 *
 * @returns without the line end behind it
 */
export async function readSecret(question: string): Promise<string> {
  if (!process.stdin.isTTY) return (await new Response(Bun.stdin.stream()).text()).replace(/\r?\n$/, "");
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  const answer = await prompt.question("");
  prompt.close();
  process.stderr.write("\n");
  return answer;
}
