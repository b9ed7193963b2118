import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseEnv } from "node:util";
import type { Environment } from "../env-files.ts";

/** What the app's server will be started with, as far as that can be known here. */
export interface ProductionSettings {
  readonly env: Environment;
  /** Variables that get their values elsewhere: the database's URL and the secrets of a stage on AWS. */
  readonly given: ReadonlySet<string>;
  /** In words. */
  readonly source: string;
  readonly kind: "environment" | "sst";
}

/** The part of infra/settings.ts that is asked here. */
interface StageSettings {
  readonly domain: string;
  readonly corsOrigin: string;
  readonly secrets: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * The settings of production: with an `sst.config.ts` those that its infra/ gives to the stage's containers, else those of the process and
 * of `.env.production`, which Docker hands to the server. `.env` is for development and is not looked at.
 *
 * @throws Error with the sentence of infra/settings.ts about what it lacks
 */
export async function productionSettings(dir: string, stage: string, own: Environment): Promise<ProductionSettings> {
  if (existsSync(join(dir, "sst.config.ts"))) return stageSettings(dir, stage, own);
  const file = ".env.production";
  const isThere = existsSync(join(dir, file));
  return { env: { ...fileOf(join(dir, file)), ...own }, given: new Set(), source: isThere ? `the environment and ${file}` : "the environment", kind: "environment" };
}

async function stageSettings(dir: string, stage: string, own: Environment): Promise<ProductionSettings> {
  const config = readFileSync(join(dir, "sst.config.ts"), "utf8");
  const { readSettings } = (await import(pathToFileURL(join(dir, "infra", "settings.ts")).href)) as { readSettings: (stage: string, env: Environment) => StageSettings };
  const { domain, corsOrigin, secrets, variables } = readSettings(stage, stageEnvironment(dir, stage, own));
  const has = (part: string): boolean => config.includes(`${part}(`);
  return {
    env: {
      PYLON_TRUST_PROXY_HOPS: "1",
      PYLON_PUBLIC_URL: `https://${domain}`,
      PYLON_CORS_ORIGIN: corsOrigin,
      ...(has("createFiles") ? { PYLON_FILES_PROVIDER: "s3", PYLON_S3_BUCKET: "of-the-stage" } : {}),
      ...(has("createVolume") ? { PYLON_DB_PATH: "/data/pylon.db", PYLON_FILES_DIR: "/data/uploads" } : {}),
      ...variables,
    },
    given: new Set([...secrets, ...(has("createDatabase") ? ["DATABASE_URL"] : []), ...(has("createCache") ? ["REDIS_URL"] : [])]),
    source: `sst.config.ts for the stage ${stage}`,
    kind: "sst",
  };
}

/** The environment that SST gives to the config of a stage: the process's own values win, then those of `.env.<stage>`, then `.env`. */
export function stageEnvironment(dir: string, stage: string, own: Environment): Environment {
  return { ...fileOf(join(dir, ".env")), ...fileOf(join(dir, `.env.${stage}`)), ...own };
}

function fileOf(path: string): Environment {
  return existsSync(path) ? parseEnv(readFileSync(path, "utf8")) : {};
}

/** Whether the variable has a value, here or elsewhere. */
export function isSet({ env, given }: ProductionSettings, name: string): boolean {
  return (env[name] ?? "") !== "" || given.has(name);
}

/** The environment with values of the right form where the real ones are elsewhere. */
export function withStandIns({ env, given }: ProductionSettings): Environment {
  const standIn = (name: string): string => STAND_INS[name] ?? "x".repeat(64);
  return { ...Object.fromEntries([...given].map((name) => [name, standIn(name)])), ...Object.fromEntries(Object.entries(env).filter(([, value]) => value !== "")) };
}

const STAND_INS: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgresql://pylon:password@database.invalid:5432/pylon?sslmode=require",
  REDIS_URL: "rediss://default:password@cache.invalid:6379",
  PYLON_SMTP_URL: "smtps://user:password@mail.invalid:465",
};
