import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { defineCommand, type CommandContext } from "../command.ts";
import { checkStage } from "../deploy/sst.ts";
import { hasStagesFile, stageVariables } from "../doctor/production-settings.ts";
import type { Environment } from "../env-files.ts";
import { CommandError, EXIT } from "../output.ts";
import { GENERATED_SECRETS, NEEDED_SECRETS, randomSecret } from "../settings/production-secrets.ts";
import { readSecret } from "../settings/secret-input.ts";
import { EnvSecrets, SstSecrets, type SecretStore } from "../settings/secret-stores.ts";

const ACTIONS = ["generate", "set", "list"] as const;
const TARGETS = ["sst", "env"] as const;
const VARIABLE = /^[A-Z][A-Z0-9_]{0,99}$/;

const OPTIONS = {
  target: {
    type: "string",
    value: TARGETS.join("|"),
    summary:
      "Where secrets are stored: in SST, or in .env.production. Default sst if there is an " +
      "sst.config.ts, else env.",
  },
  stage: { type: "string", value: "S", summary: "sst: the stage; default production." },
  dir: { type: "string", value: "DIR", summary: "The app's folder; default the current one." },
  show: { type: "boolean", summary: "generate: also print the values." },
} as const;
type Context = CommandContext<typeof OPTIONS>;

/** `pylon secrets`: generates, sets and lists secrets. */
export const secrets = defineCommand({
  name: "secrets",
  args: ["generate|set|list", "[NAME]"],
  summary: "Generate missing production secrets, set a secret, or list which are set.",
  options: OPTIONS,
  async run(context) {
    const [given, name] = context.args;
    const action = ACTIONS.find((known) => known === given);
    if (action === undefined)
      throw new CommandError(
        "USAGE",
        `Specify an action: \`pylon secrets ${ACTIONS.join("|")}\`.`,
        EXIT.USAGE,
      );
    if (name !== undefined && !VARIABLE.test(name))
      throw new CommandError(
        "SECRETS_INVALID_NAME",
        `"${name}" is not a valid variable name: use a form such as PYLON_ADMIN_TOKEN.`,
        EXIT.USAGE,
      );
    const { store, env } = await openStore(context);
    switch (action) {
      case "generate":
        return generate(context, store, env, name);
      case "set":
        return set(context, store, env, name);
      case "list":
        if (name !== undefined)
          throw new CommandError(
            "USAGE",
            "`pylon secrets list` takes no name: it lists all secrets.",
            EXIT.USAGE,
          );
        return list(context, store, env);
    }
  },
});

/** @throws CommandError for an unknown target, stage or folder */
async function openStore({ options, env }: Context): Promise<{
  readonly store: SecretStore;
  readonly env: Environment;
}> {
  const dir = resolve(options.dir ?? ".");
  if (!existsSync(dir))
    throw new CommandError(
      "SECRETS_NO_DIR",
      `Folder ${dir} does not exist: specify the app's folder with --dir.`,
      EXIT.USAGE,
    );
  const target = options.target ?? (existsSync(join(dir, "sst.config.ts")) ? "sst" : "env");
  if (target === "env") {
    if (options.stage !== undefined)
      throw new CommandError(
        "USAGE",
        "--stage requires --target sst: .env.production does not belong to a stage.",
        EXIT.USAGE,
      );
    return { store: new EnvSecrets(dir), env };
  }
  if (target !== "sst")
    throw new CommandError(
      "SECRETS_INVALID_TARGET",
      `Unknown target "${target}": use ${TARGETS.join(" or ")}.`,
      EXIT.USAGE,
    );
  const { stage = "production" } = options;
  checkStage(stage, "SECRETS_INVALID_STAGE");
  return { store: new SstSecrets(dir, stage), env: await stageVariables(dir, stage, env) };
}

/** Existing secrets stay: a new key would make data encrypted with the old one unreadable. */
async function generate(
  { options, output }: Context,
  store: SecretStore,
  env: Environment,
  name: string | undefined,
): Promise<number> {
  if (name !== undefined && GENERATED_SECRETS[name] === undefined) {
    throw new CommandError(
      "SECRETS_NOT_RANDOM",
      `${name} can't be generated, because another service issues it: use \`pylon secrets ` +
        `set ${name}\`. Generated secrets are ${Object.keys(GENERATED_SECRETS).join(", ")}.`,
      EXIT.USAGE,
    );
  }
  const named = namedSecrets(env).filter((entry) => GENERATED_SECRETS[entry] !== undefined);
  const wanted = name === undefined ? [...new Set([...NEEDED_SECRETS, ...named])] : [name];
  const there = await store.among(wanted);
  const made = Object.fromEntries(
    wanted.filter((entry) => !there.has(entry)).map((entry) => [entry, randomSecret()]),
  );
  const notes = Object.keys(made).length > 0 ? await store.set(made) : [];
  for (const note of notes) output.warn(`pylon: ${note}`);
  for (const entry of wanted)
    output.say(
      there.has(entry)
        ? `  kept  ${entry}`
        : `  made  ${entry}${options.show ? `=${made[entry] ?? ""}` : ""}`,
    );
  output.say(`The secrets are stored in ${store.place}.`);
  output.json({
    code: "SECRETS_OK",
    place: store.place,
    made: options.show ? made : Object.keys(made),
    kept: [...there],
  });
  return EXIT.OK;
}

async function set(
  { output }: Context,
  store: SecretStore,
  env: Environment,
  name: string | undefined,
): Promise<number> {
  if (name === undefined)
    throw new CommandError(
      "SECRETS_NO_NAME",
      "Specify the variable: `pylon secrets set PYLON_SMTP_URL`. Its value is prompted for, or " +
        "read from standard input.",
      EXIT.USAGE,
    );
  const value = await readSecret(`${name}: `);
  if (value === "")
    throw new CommandError(
      "SECRETS_NO_VALUE",
      `No value given for ${name}: type it, or pipe it in as in \`pylon secrets set ` +
        `${name} < file\`.`,
    );
  const notes = [
    ...(await store.set({ [name]: value })),
    ...(store instanceof SstSecrets ? notesOnUse(store, name, env) : []),
  ];
  output.say(`${name} is stored in ${store.place}.`);
  for (const note of notes) output.warn(`pylon: ${note}`);
  output.json({ code: "SECRETS_OK", place: store.place, set: [name], notes });
  return EXIT.OK;
}

async function list({ output }: Context, store: SecretStore, env: Environment): Promise<number> {
  const there = await store.all();
  const names = [...new Set([...NEEDED_SECRETS, ...namedSecrets(env), ...there])];
  for (const name of names) output.say(`  ${there.has(name) ? "set     " : "missing "}${name}`);
  output.say(`In ${store.place}; values are not shown.`);
  output.json({
    code: "SECRETS_OK",
    place: store.place,
    secrets: names.map((name) => ({ name, set: there.has(name) })),
  });
  return EXIT.OK;
}

/** The servers of a stage receive those secrets that its settings name. */
function notesOnUse({ stage, dir }: SstSecrets, name: string, env: Environment): string[] {
  const named = namedSecrets(env);
  if (NEEDED_SECRETS.some((needed) => needed === name) || named.includes(name)) return [];
  const names = [...named, name];
  const where = hasStagesFile(dir)
    ? `pylon.stages.ts, as secrets: ${JSON.stringify(names)} of the stage ${stage}`
    : `.env or .env.${stage}, as PYLON_SECRETS=${names.join(",")}`;
  return [`No server receives it yet: add it to ${where}, and deploy.`];
}

function namedSecrets(env: Environment): string[] {
  return (env["PYLON_SECRETS"] ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => VARIABLE.test(entry));
}
