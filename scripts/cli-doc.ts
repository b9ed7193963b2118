// Writes docs/cli.md from the help of each command: `bun scripts/cli-doc.ts`.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../packages/cli/src/main.ts", import.meta.url));

interface Flag {
  readonly short?: string;
  readonly value?: string;
  readonly summary: string;
}

interface CommandHelp {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly options: Readonly<Record<string, Flag>>;
}

const INTRO = `# Command line

Create, run, check and deploy apps with the \`pylon\` command: run \`npx pylon\` in an app's \
folder, or the \`pylon\` executable. Without a command it lists all commands; \`--help\` after a \
command explains it.
Unknown flags are rejected.

\`\`\`sh
pylon init shop
pylon cost --shape efs --json
\`\`\`

Every command takes \`--json\` and then prints JSON on stdout: one value, or one line per event \
if the command keeps running. Errors are JSON objects with a \`code\` and a
\`message\`. Without \`--json\`, text is printed to stdout and errors to stderr.

| Exit code | Meaning |
| --- | --- |
| 0 | success |
| 1 | the command failed; the message explains why |
| 64 | invalid usage |
| 69 | a required service is unavailable |

\`dev\`, \`migrate\`, \`backup\`, \`restore\`, \`resync\`, \`doctor\`, \`logs\` and \`metrics\` \
read \`.env.local\` and \`.env\`; \`start\` and \`health\` read only the environment, see
[configuration](configuration.md). \`doctor --production\`, \`deploy --stage\` and \`secrets\` \
read the production settings, as described for each below.

## Where an app's data is stored

| Command | Database | Uploaded files |
| --- | --- | --- |
| \`pylon start\` | \`pylon.db\` in the app's folder | \`uploads\` in the app's folder |
| \`pylon dev\` | \`.pylon/dev.db\` in the app's folder | \`.pylon/uploads\` in the app's folder |

\`PYLON_DB_PATH\` and \`PYLON_FILES_DIR\` set other locations. \`backup\`, \`restore\`, \
\`resync\` and \`migrate\` use the location in these variables, or else whichever of the two \
databases exists. If
both exist, they fail with \`DATA_AMBIGUOUS\` until \`PYLON_DB_PATH\` selects one; the uploaded \
files are those that belong to that database. Each command prints the database it used.
`;

/** Details that the summaries of commands and flags do not contain. */
const NOTES: Readonly<Record<string, string>> = {
  dev:
    "In dev mode everyone who can reach the server can act as any user and read its mail, so " +
    "it listens only on `127.0.0.1`. `--host 0.0.0.0` opens it to the network, for a phone or " +
    "from inside a container (`docker run -p 127.0.0.1:4321:4321 ... pylon dev --host " +
    "0.0.0.0` keeps it on this machine). Requests from web pages of other sites are " +
    "rejected with `ORIGIN_REJECTED`. Allowed are pages of this machine at any port, such " +
    "as those of a front-end dev server, pages of the host that the request was sent " +
    "to, and the origins in `PYLON_CORS_ORIGIN`. `/studio` shows the app's data and " +
    "functions.",
  health:
    "It requests `http://127.0.0.1:PORT/health`, or the address in `PYLON_HOST`, with a " +
    "timeout of 5 s. It is meant as a container's health check: it does not load the server's " +
    "code, and uses no proxy.",
  migrate:
    "If there is no database, `apply` creates the one of `pylon dev`; `plan` and " +
    "`status` create none.",
  backup: "Only the owner can read the new folder.",
  restore:
    "If there is no database, it creates the one of `pylon start`. When run as root, " +
    "restored files get the owner of the previous files, or of their folder.",
  doctor:
    "`--production` only reads. It checks the environment together with `.env.production` " +
    "(which Docker passes to the server) or, without that file, `.env.systemd`; `--env-file` " +
    "selects another file. Values from `[env]` in `fly.toml` and from the unit " +
    "`pylon.service` are included. `.env` is for development and is not read. With an " +
    "`sst.config.ts` it reads the stage's `infra/settings.ts`, and assumes that values " +
    "stored in AWS are set: the database URL and the secrets. Each finding is `pass`, " +
    "`warning` or `error`, with a suggested fix; errors set the exit code to 1. " +
    "Values of secrets are never shown.",
  deploy:
    "Files that you have changed are kept and listed; `--force` overwrites them, and " +
    "keeps copies named `.before-` and the time. All files are written, or none. Secret files " +
    "are created with random values, readable only by their owner, and are never overwritten. " +
    "Without `--shape` the shape of the existing `sst.config.ts` is used. A different shape " +
    "is rejected with `DEPLOY_OTHER_SHAPE` unless `--force` is given without `--stage`: " +
    "when you change between `efs` and the others, the new shape starts with an empty " +
    "database. With `--target sst --stage`, the command then runs the checks of " +
    "`pylon doctor --production`, stops at errors (`DEPLOY_CHECKS_FAILED`), runs " +
    "the app's own `sst deploy` and returns its exit code. Neither " +
    "`pylon.manifest.json` nor a `deploy.json` is written: the server builds " +
    "its manifest from `app.ts` at start.",
  secrets:
    "See [secrets](deploy/secrets.md). For SST, `set` warns if `secrets` of the stage in " +
    "`pylon.stages.ts` does not list the name, because no server would receive it. Values are " +
    "typed at a hidden prompt or read from standard input, never passed as an argument.",
  logs:
    "The token is `PYLON_ADMIN_TOKEN` from the environment or `.env`, never a flag. It is " +
    "sent only over https, except to this machine and private networks. A server keeps about a " +
    "thousand lines. Behind a load balancer the response comes from one replica: set `--url` " +
    "to the address of a specific replica, or use your log collector for all of them.",
  metrics:
    "The token is sent as for `logs`, and the metrics are also those of one replica. " +
    "Durations cover the time since the server started, or the last two seconds with `--watch`; " +
    "percentiles are computed from [the histograms](deploy/metrics.md).",
  cost: "See [cost](deploy/cost.md).",
  compile: "See [containers](deploy/container.md).",
};

/** The text of docs/cli.md. */
export function cliDoc(): string {
  const { commands } = help<{ commands: { name: string }[] }>("--help");
  return (
    INTRO +
    commands.map(({ name }) => section(help<CommandHelp>(name, "--help"))).join("") +
    "\nThis page is generated by `scripts/cli-doc.ts`.\n"
  );
}

function section({ name, usage, summary, options }: CommandHelp): string {
  const note = NOTES[name];
  const rows = Object.entries(options).map(([flag, { short, value, summary: about }]) => {
    const long = `\`--${flag}${value === undefined ? "" : ` ${value}`}\``;
    return `| ${long}${short === undefined ? "" : `, \`-${short}\``} | ${about} |\n`;
  });
  const table =
    rows.length === 0
      ? ""
      : "\n| Flag | Description |\n| --- | --- |\n" +
        `${rows.map((row) => row.replaceAll(/(?<=\w)\|(?=\w)/g, "\\|")).join("")}`;
  return (
    `\n## ${name}\n\n\`pylon ${usage}\`\n\n` +
    `${summary}${note === undefined ? "" : `\n\n${note}`}\n${table}`
  );
}

function help<T>(...args: string[]): T {
  return JSON.parse(
    spawnSync(process.execPath, [MAIN, ...args, "--json"], { encoding: "utf8" }).stdout,
  ) as T;
}

if (import.meta.main) await Bun.write(new URL("../docs/cli.md", import.meta.url), cliDoc());
