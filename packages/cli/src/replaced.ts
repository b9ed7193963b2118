/** Replacements of commands that the public system has. */
const COMMANDS: ReadonlyMap<string, string> = new Map([
  ["schema", "Use `pylon migrate plan`, `pylon migrate apply` or `pylon migrate status`."],
  ["plugins", "Plugins are listed in buildManifest of app.ts: see docs/plugins.md."],
]);

const RENAMES = "Declare the old name in app.ts with renamedFrom: see docs/schema.md.";
const DATABASE = "Set PYLON_DB_PATH or DATABASE_URL to the database.";

/** The same for flags, by command and flag. */
const FLAGS: ReadonlyMap<string, string> = new Map([
  ["init --bun", "Every app runs on Bun, which is included in pylon."],
  ["build --out", "The server serves the page itself: see docs/app-folder.md."],
  ["migrate --rename-table", RENAMES],
  ["migrate --rename-column", RENAMES],
  ["migrate --sqlite", DATABASE],
  ["migrate --postgres", DATABASE],
  ["migrate --dry-run", "Use `pylon migrate plan`, which changes nothing."],
  ["seed --port", "Name the server with --url, such as --url http://localhost:4321."],
  ["seed --token", "The admin token is read from PYLON_ADMIN_TOKEN, never from a flag."],
]);

/** The equivalents of `pylon schema` of the public system. */
const SCHEMA: Readonly<Record<string, readonly string[]>> = {
  check: ["migrate", "plan"],
  diff: ["migrate", "plan"],
  push: ["migrate", "apply"],
  inspect: ["migrate", "status"],
  history: ["migrate", "status"],
};

/** A hint about what to use in place of a command; undefined if there is none. */
export function replacementOf(command: string): string | undefined {
  return COMMANDS.get(command);
}

/** The same for a flag of a command. */
export function flagReplacementOf(command: string, flag: string): string | undefined {
  return FLAGS.get(`${command} ${flag}`);
}

/** Translates a command line of the public system; any other one is unchanged. */
export function inOurWords(argv: readonly string[]): readonly string[] {
  const [command, action = "", ...rest] = argv;
  const ours = command === "schema" && Object.hasOwn(SCHEMA, action) ? SCHEMA[action] : undefined;
  return ours === undefined ? argv : [...ours, ...rest];
}
