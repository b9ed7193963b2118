import { ISOLATE_COMMAND } from "@pylonsync/server/isolate-command";
import { MERGE_COMMAND } from "@pylonsync/server/merge-command";
import { READER_COMMAND } from "@pylonsync/server/reader-command";
import { COMMANDS } from "./commands.ts";
import { runCommand } from "./run-command.ts";

void main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<void> {
  const [word, path = "", name = ""] = argv;
  if (word === READER_COMMAND) {
    // A server of the executable reads its database in processes of the same executable.
    const { serveReads } = await import("@pylonsync/server/reader-process");
    serveReads(path);
    return;
  }
  if (word === ISOLATE_COMMAND) {
    // The same for functions that run in a separate process.
    const { serveFunctions } = await import("@pylonsync/server/serve-functions");
    await serveFunctions(path, name);
    return;
  }
  if (word === MERGE_COMMAND) {
    // The same for documents.
    const { serveMerges } = await import("@pylonsync/server/serve-merges");
    await serveMerges();
    return;
  }
  // A remaining timer must not keep a finished command alive.
  process.exit(await runCommand(argv, COMMANDS));
}
