// Writes docs/cli.md from what the commands say of themselves: `bun scripts/cli-doc.ts`.
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

const INTRO = `# The command line

Make, run, check and deploy an app from a terminal: with \`npx pylon\` in its folder, or the \
executable \`pylon\`. Without a command it lists the commands, and \`--help\` after one explains \
it. A flag that a command
does not have is refused.

\`\`\`sh
pylon init shop
pylon cost --shape efs --json
\`\`\`

Every command takes \`--json\`: JSON for programs on stdout, one value, or a line for each event \
where a command goes on. What is wrong has a \`code\` in it and a
\`message\`. Messages for people go to stdout, errors to stderr.

| exit code | |
| --- | --- |
| 0 | done |
| 1 | it failed, and says why |
| 64 | it was called wrongly |
| 69 | what it needs can't be reached |

\`dev\`, \`migrate\`, \`backup\`, \`restore\`, \`resync\`, \`doctor\`, \`logs\` and \`metrics\` \
read \`.env.local\` and \`.env\`; \`start\` and \`health\` read the environment alone, see
[configuration](configuration.md). \`doctor --production\`, \`deploy --stage\` and \`secrets\` \
read what production is given, each as it says below.

## Where an app's data is

| | database | uploaded files |
| --- | --- | --- |
| \`pylon start\` | \`pylon.db\` in the app's folder | \`uploads\` there |
| \`pylon dev\` | \`.pylon/dev.db\` in the app's folder | \`.pylon/uploads\` there |

\`PYLON_DB_PATH\` and \`PYLON_FILES_DIR\` name other places. \`backup\`, \`restore\`, \`resync\` \
and \`migrate\` take what these variables name, else the database of the two that is there. Where
both are, they refuse (\`DATA_AMBIGUOUS\`) until \`PYLON_DB_PATH\` says which is meant; uploaded \
files belong to the database. Each says which it took.
`;

/** What a line for each flag does not say. */
const NOTES: Readonly<Record<string, string>> = {
  dev:
    "It listens on `127.0.0.1`, so on this machine alone: in dev mode everyone who reaches " +
    "the server can act as any user and read its mail. `--host 0.0.0.0` opens it to the " +
    "network, for a phone or from inside a container (`docker run -p 127.0.0.1:4321:4321 ... " +
    "pylon dev --host 0.0.0.0` keeps it on this machine). Web pages of other sites are " +
    "refused (`ORIGIN_REJECTED`); pages of this machine may call at any port, such as those " +
    "of a front-end dev server, and those of the host that the request came to; others are " +
    "named in `PYLON_CORS_ORIGIN`. `/studio` shows what the app has.",
  health:
    "It asks `http://127.0.0.1:PORT/health`, or the address in `PYLON_HOST`, and gives up " +
    "after 5 s. It is made to be a container's health check: it loads nothing of the " +
    "server, and passes no proxy.",
  migrate:
    "Without a database `apply` makes the one of `pylon dev`; `plan` and `status` make none.",
  backup: "Only the owner can read the new folder.",
  restore:
    "Without a database it makes the one of `pylon start`. Files that root restores belong " +
    "to whom the old ones belonged, or the folder that they are in.",
  doctor:
    "`--production` only reads. It looks at the environment and at `.env.production`, which " +
    "Docker hands to the server, or where that is not, at `.env.systemd`; `--env-file` " +
    "names another file. What `[env]` of a `fly.toml` and the unit `pylon.service` say " +
    "counts too. `.env` is for development, and is not looked at. With an `sst.config.ts` " +
    "it asks the stage's own `infra/settings.ts`, and takes for given what AWS has: the " +
    "database's URL and the secrets. What it finds is `pass`, `warning` or `error`, each " +
    "with what to do; errors make the exit code 1. Values of secrets are never shown.",
  deploy:
    "Files that differ are kept and named; `--force` writes over them, and keeps copies by " +
    "their names with `.before-` and the time. Without `--shape` it is the shape of the " +
    "`sst.config.ts` that is there. Another one is refused (`DEPLOY_OTHER_SHAPE`) but with " +
    "`--force` and without `--stage`: between `efs` and the others the new shape begins " +
    "with an empty database. All are written, or none. Files of secrets are made with " +
    "random values, can be read by their owner only, and are never written over. For `sst` " +
    "with `--stage` it then checks what `pylon doctor --production` checks, stops at errors " +
    "(`DEPLOY_CHECKS_FAILED`), runs the app's own `sst deploy` and ends with its exit code. " +
    "Neither `pylon.manifest.json` nor a `deploy.json` is written: a server makes its " +
    "manifest from `app.ts` when it starts, and nothing would read the other.",
  secrets:
    "See [secrets](deploy/secrets.md). Of SST's secrets `set` says when the stage's " +
    "`secrets` in `pylon.stages.ts` do not name one, for then no server gets it. A value is " +
    "typed without being shown, or comes by standard input, never by an argument.",
  logs:
    "The token is `PYLON_ADMIN_TOKEN` of the environment or of `.env`, never a flag, and goes " +
    "to https only, but for this machine and private networks. A server keeps about a " +
    "thousand lines. Behind a load balancer the answer is one replica's: give `--url` a " +
    "replica's own address, or read what collects the logs of all.",
  metrics:
    "The token as for `logs`, and as there the metrics are those of one replica. Times are since " +
    "the start of the server, with `--watch` of the last two seconds; percentiles are taken " +
    "from [the histograms](deploy/metrics.md).",
  cost: "See [what it costs](deploy/cost.md).",
  compile: "See [containers](deploy/container.md).",
};

/** The text of docs/cli.md. */
export function cliDoc(): string {
  const { commands } = help<{ commands: { name: string }[] }>("--help");
  return (
    INTRO +
    commands.map(({ name }) => section(help<CommandHelp>(name, "--help"))).join("") +
    "\nThis page is made by `scripts/cli-doc.ts`.\n"
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
      : "\n| flag | |\n| --- | --- |\n" +
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
