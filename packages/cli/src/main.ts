import { health } from "./commands/health.ts";
import { runCommand } from "./run-command.ts";

const argv = process.argv.slice(2);
// A container is asked for its health every few seconds, beside the server and on its memory:
// nothing else is loaded for it.
const isHealth = argv.find((word) => !word.startsWith("-")) === health.name;
const commands = isHealth ? [health] : (await import("./commands.ts")).COMMANDS;

// What is left behind, such as a timer, must not keep a finished command alive.
process.exit(await runCommand(argv, commands));
