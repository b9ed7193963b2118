import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { TOML } from "bun";
import type { Environment } from "../env-files.ts";
import { SYSTEMD_FILE } from "../settings/env-file.ts";
import { parseEnvText } from "../settings/env-text.ts";

/** The settings with which the app's server will be started, as far as they can be known here. */
export interface ProductionSettings {
  readonly env: Environment;
  /**
   * Variables that get their values elsewhere: the database's URL and the secrets of a stage on
   * AWS.
   */
  readonly given: ReadonlySet<string>;
  /** A description of the source. */
  readonly source: string;
  readonly kind: "environment" | "sst";
  /**
   * Variables whose values are readable by others: in a task definition, or in a file of the
   * repository.
   */
  readonly plain: readonly string[];
  /** A file for a server that was not selected; null: there is none. */
  readonly unread: string | null;
  /** Further names that something reads. */
  readonly known: ReadonlySet<string>;
  /** Notes about the sources of a stage's settings. */
  readonly notices: readonly string[];
}

/** Which deployment's settings are read. */
export interface SettingsOptions {
  /** The stage, if there is an sst.config.ts. */
  readonly stage: string;
  /** The file with which production will be started, if given. */
  readonly envFile: string | undefined;
}

/** The part of infra/settings.ts that is used here. */
interface StageSettings {
  readonly domain: string;
  readonly corsOrigin: string;
  readonly secrets: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  /** Absent in older files of an app. */
  readonly notices?: readonly string[];
}

/**
 * Reads the settings of production: those of the named file, or with an `sst.config.ts` those that
 * its infra/ gives to the stage's containers, otherwise those of the process and of
 * `.env.production`, which Docker passes to the server; without that file, of systemd's. The
 * settings in `fly.toml` and `pylon.service` have precedence. `.env` is for development and is
 * ignored.
 *
 * @throws Error with the message of infra/settings.ts about what is missing, or about a file that
 *   can't be read
 */
export async function productionSettings(
  dir: string,
  { stage, envFile }: SettingsOptions,
  own: Environment,
): Promise<ProductionSettings> {
  if (envFile === undefined && existsSync(join(dir, "sst.config.ts")))
    return stageSettings(dir, stage, own);
  const file =
    envFile ?? [".env.production", SYSTEMD_FILE].find((name) => existsSync(join(dir, name)));
  const path = envFile ?? (file === undefined ? undefined : join(dir, file));
  const isSystemd =
    file !== undefined &&
    (file.endsWith(SYSTEMD_FILE) || !existsSync(join(dir, ".env.production"))) &&
    existsSync(join(dir, "pylon.service"));
  const fly = isSystemd ? {} : flyVariables(join(dir, "fly.toml"));
  const isFly = Object.keys(fly).length > 0;
  const sources = [
    "the environment",
    ...(file === undefined ? [] : [file]),
    ...(isFly ? ["fly.toml"] : []),
    ...(isSystemd ? ["pylon.service"] : []),
  ];
  return {
    env: {
      ...fly,
      ...(isSystemd ? unitVariables(join(dir, "pylon.service")) : {}),
      ...(path === undefined ? {} : parseEnvText(readFileSync(path, "utf8"))),
      ...own,
    },
    given: new Set(),
    source:
      sources.length === 1
        ? "the environment"
        : `${sources.slice(0, -1).join(", ")} and ${sources.at(-1) ?? ""}`,
    kind: "environment",
    plain: Object.keys(fly),
    unread: envFile === undefined && file !== SYSTEMD_FILE ? systemdFileIn(dir) : null,
    known: new Set(),
    notices: [],
  };
}

function systemdFileIn(dir: string): string | null {
  return existsSync(join(dir, SYSTEMD_FILE)) ? SYSTEMD_FILE : null;
}

/** The `[env]` of a `fly.toml`. */
function flyVariables(path: string): Readonly<Record<string, string>> {
  if (!existsSync(path)) return {};
  const { env = {} }: { readonly env?: unknown } = TOML.parse(readFileSync(path, "utf8"));
  if (typeof env !== "object" || env === null) return {};
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
}

/** The `Environment=NAME=value` lines of a unit. */
function unitVariables(path: string): Environment {
  const lines = [
    ...readFileSync(path, "utf8").matchAll(/^Environment=(["']?)([A-Za-z_]\w*)=(.*)\1[ \t]*$/gm),
  ];
  return Object.fromEntries(lines.map(([, , name = "", value = ""]) => [name, value]));
}

async function stageSettings(
  dir: string,
  stage: string,
  own: Environment,
): Promise<ProductionSettings> {
  const config = readFileSync(join(dir, "sst.config.ts"), "utf8");
  const { readSettings }: { readSettings: (stage: string, env: Environment) => StageSettings } =
    await import(pathToFileURL(join(dir, "infra", "settings.ts")).href);
  const environment = stageEnvironment(dir, stage, own);
  const { domain, corsOrigin, secrets, variables, notices = [] } = readSettings(stage, environment);
  const has = (part: string): boolean => config.includes(`${part}(`);
  return {
    env: {
      PYLON_TRUST_PROXY_HOPS: "1",
      PYLON_PUBLIC_URL: `https://${domain}`,
      PYLON_CORS_ORIGIN: corsOrigin,
      ...(has("createFiles")
        ? { PYLON_FILES_PROVIDER: "s3", PYLON_S3_BUCKET: "of-the-stage" }
        : {}),
      ...(has("createVolume")
        ? { PYLON_DB_PATH: "/data/pylon.db", PYLON_FILES_DIR: "/data/uploads" }
        : {}),
      ...variables,
    },
    given: new Set([
      ...secrets,
      ...(has("createDatabase") ? ["DATABASE_URL"] : []),
      ...(has("createCache") ? ["REDIS_URL"] : []),
    ]),
    source: `sst.config.ts for the stage ${stage}`,
    kind: "sst",
    plain: Object.keys(variables),
    unread: systemdFileIn(dir),
    known: namesIn(join(dir, "infra")),
    notices,
  };
}

/**
 * The names of variables that occur in an app's own infrastructure.
 *
 * @param folder if it does not exist, there are none
 */
export function namesIn(folder: string): ReadonlySet<string> {
  if (!existsSync(folder)) return new Set();
  const texts = readdirSync(folder)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(join(folder, file), "utf8"));
  return new Set(texts.flatMap((text) => text.match(/\bPYLON_[A-Z0-9_]*[A-Z0-9]\b/g) ?? []));
}

/**
 * The environment that SST passes to the config of a stage: the process's own values have
 * precedence, then those of `.env.<stage>`, then `.env`.
 */
export function stageEnvironment(dir: string, stage: string, own: Environment): Environment {
  return { ...fileOf(join(dir, ".env")), ...fileOf(join(dir, `.env.${stage}`)), ...own };
}

/**
 * The same, with the values of `pylon.stages.ts` in its place, if the app's infra/ reads one.
 *
 * @throws Error with the message of infra/stages.ts about a stage that is not in it
 */
export async function stageVariables(
  dir: string,
  stage: string,
  own: Environment,
): Promise<Environment> {
  const environment = stageEnvironment(dir, stage, own);
  if (!hasStagesFile(dir)) return environment;
  const stages: { stageEnvironment: (stage: string, env: Environment) => { values: Environment } } =
    await import(pathToFileURL(join(dir, "infra", "stages.ts")).href);
  return stages.stageEnvironment(stage, environment).values;
}

/** Whether the app's stages are defined in a file; older deployments only have `.env`. */
export function hasStagesFile(dir: string): boolean {
  return existsSync(join(dir, "infra", "stages.ts"));
}

function fileOf(path: string): Environment {
  return existsSync(path) ? parseEnvText(readFileSync(path, "utf8")) : {};
}

/** Whether the variable has a value, here or elsewhere. */
export function isSet({ env, given }: ProductionSettings, name: string): boolean {
  return (env[name] ?? "") !== "" || given.has(name);
}

/** The environment with placeholder values of the right form for those that are set elsewhere. */
export function withPlaceholders({ env, given }: ProductionSettings): Environment {
  const placeholder = (name: string): string => PLACEHOLDERS[name] ?? "x".repeat(64);
  return {
    ...Object.fromEntries([...given].map((name) => [name, placeholder(name)])),
    ...Object.fromEntries(Object.entries(env).filter(([, value]) => value !== "")),
  };
}

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgresql://pylon:password@database.invalid:5432/pylon?sslmode=require",
  REDIS_URL: "rediss://default:password@cache.invalid:6379",
  PYLON_SMTP_URL: "smtps://user:password@mail.invalid:465",
};
