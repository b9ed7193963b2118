import { readFileSync } from "node:fs";
import { OAUTH_VARIABLES, isOAuthVariable, UNREAD_VARIABLES, VARIABLES } from "@pylonsync/server";
import { defineCommand } from "../command.ts";
import { withEnvFiles, type Environment } from "../env-files.ts";
import { CommandError, EXIT } from "../output.ts";
import { columnsOf } from "../remote/columns.ts";
import { parseEnvText } from "../settings/env-text.ts";
import { isSecretName, unknownVariables } from "../settings/variable-names.ts";

/** A variable as it is set in the current folder. */
interface Setting {
  readonly name: string;
  /** Null if it is not set; never a secret. */
  readonly value: string | null;
  /** `environment`, or the path of a file; null if it is not set. */
  readonly from: string | null;
  readonly secret: boolean;
  readonly doc: string;
}

const HIDDEN = "(hidden)";

/** `pylon env`: which variables are set, where, and what they mean. */
export const env = defineCommand({
  name: "env",
  args: ["[NAME]"],
  summary:
    "Show the variables that are set here and their source; with NAME, explain one " + "variable.",
  options: {
    all: { type: "boolean", summary: "Include variables that are not set." },
  },
  run({ args, options, output, env: own }) {
    const { env: filled, files } = withEnvFiles(".", own);
    const [wanted] = args;
    if (wanted !== undefined && !namesOf(filled).includes(wanted)) throw unknownVariable(wanted);
    const settings = namesOf(filled)
      .filter((name) => wanted === undefined || name === wanted)
      .map((name) => settingOf(name, filled, own, files));
    const shown =
      options.all || wanted !== undefined
        ? settings
        : settings.filter(({ value }) => value !== null);
    if (shown.length === 0) output.say("No Pylon variable is set here: --all lists them.");
    else
      for (const line of columnsOf(["variable", "value", "from", ""], shown.map(cells)))
        output.say(line);
    for (const warning of warningsOf(filled)) output.warn(`pylon: ${warning}`);
    output.json({ code: "ENV_OK", files, variables: shown, warnings: warningsOf(filled) });
    return EXIT.OK;
  },
});

/** The variables that the server reads, in the order of docs/configuration.md. */
function namesOf(env: Environment): string[] {
  return [...Object.keys(VARIABLES), ...Object.keys(env).filter(isOAuthVariable).toSorted()];
}

function unknownVariable(name: string): CommandError {
  const replaced = UNREAD_VARIABLES.find(({ names }) => names.includes(name));
  const [unknown] = unknownVariables([name]);
  const hint =
    replaced !== undefined
      ? ` ${replaced.instead}`
      : unknown?.meant === undefined
        ? ""
        : ` Did you mean ${unknown.meant}?`;
  return new CommandError("ENV_UNKNOWN", `${name} is not a variable of Pylon.${hint}`);
}

function settingOf(
  name: string,
  env: Environment,
  own: Environment,
  files: readonly string[],
): Setting {
  const secret = isSecretName(name);
  const value = env[name] ?? null;
  return {
    name,
    value: value !== null && secret ? HIDDEN : value,
    from: value === null ? null : sourceOf(name, own, files),
    secret,
    doc: docOf(name),
  };
}

function sourceOf(name: string, own: Environment, files: readonly string[]): string | null {
  if (own[name] !== undefined) return "environment";
  return (
    files.find((file) => Object.hasOwn(parseEnvText(readFileSync(file, "utf8")), name)) ?? null
  );
}

function docOf(name: string): string {
  const known = Object.entries(VARIABLES).find(([key]) => key === name)?.[1].doc;
  if (known !== undefined) return known;
  const part = Object.entries(OAUTH_VARIABLES).find(([key]) => name.endsWith(`_${key}`));
  return part?.[1].doc ?? "";
}

function cells({ name, value, from, doc }: Setting): string[] {
  return [name, value ?? "-", from ?? "", doc];
}

function warningsOf(env: Environment): string[] {
  const set = Object.keys(env);
  const replaced = UNREAD_VARIABLES.flatMap(({ names, instead }) =>
    names.filter((name) => set.includes(name)).map((name) => ({ name, instead })),
  );
  const isReplaced = new Set(replaced.map(({ name }) => name));
  return [
    ...replaced.map(({ name, instead }) => `${name} is not read. ${instead}`),
    ...unknownVariables(set)
      .filter(({ name }) => !isReplaced.has(name))
      .map(
        ({ name, meant }) =>
          `Nothing reads ${name}${meant === undefined ? "." : `: did you mean ${meant}?`}`,
      ),
  ];
}
