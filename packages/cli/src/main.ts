import { READER_COMMAND } from "@pylonsync/server/reader-command";
import { health } from "./commands/health.ts";
import { runCommand } from "./run-command.ts";

const argv = process.argv.slice(2);
const [word, path = ""] = argv;
if (word === READER_COMMAND) {
  // A server of the executable reads its database in processes of the same executable.
  const { serveReads } = await import("@pylonsync/server/reader-process");
  serveReads(path);
} else {
  // A container is asked for its health every few seconds, beside the server and on its memory:
  // nothing else is loaded for it.
  const isHealth = argv.find((candidate) => !candidate.startsWith("-")) === health.name;
  const commands = isHealth ? [health] : (await import("./commands.ts")).COMMANDS;

  // What is left behind, such as a timer, must not keep a finished command alive.
  process.exit(await runCommand(argv, commands));
}
