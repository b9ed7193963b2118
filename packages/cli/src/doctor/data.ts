import { existsSync } from "node:fs";
import { isIP } from "node:net";
import {
  describeDatabase,
  peekManifest,
  planStart,
  describeStep,
  resolvePlugins,
  type Config,
} from "@pylonsync/server";
import type { Manifest } from "@pylonsync/sdk";
import { error, notChecked, pass, warning, type Check } from "./check.ts";
import { isSet, withPlaceholders, type ProductionSettings } from "./production-settings.ts";

/** Checks where rows and files are stored, and whether the schema matches the existing database. */
export async function checkData(
  settings: ProductionSettings,
  manifest: Manifest | null,
  config: Config | null,
): Promise<Check[]> {
  return [
    checkTls(settings),
    checkRedis(settings),
    checkFiles(settings, manifest),
    checkPlugins(settings, manifest),
    ...(manifest === null || config === null || settings.given.has("DATABASE_URL")
      ? []
      : [await checkMigration(config, manifest)]),
  ];
}

function checkTls({ env, given }: ProductionSettings): Check {
  const url = URL.parse(env["DATABASE_URL"] ?? "");
  if (url === null)
    return pass(
      "database TLS",
      given.has("DATABASE_URL")
        ? "the stage's URL requires it"
        : "SQLite uses no network " + "connection",
    );
  const mode = url.searchParams.get("sslmode");
  if (isNear(url.hostname))
    return pass("database TLS", "the database is on this machine or its private network");
  if (
    ["require", "verify-ca", "verify-full"].includes(mode ?? "") ||
    (mode === null && (env["PYLON_DATABASE_CA"] ?? "") !== "")
  )
    return pass("database TLS", "required");
  return error(
    "database TLS",
    `DATABASE_URL points to ${url.hostname} ` +
      `${mode === null ? "without sslmode" : `with sslmode=${mode}`}, so connections may be ` +
      "unencrypted: add ?sslmode=require, or verify-full with PYLON_DATABASE_CA.",
  );
}

/**
 * This machine, or a name without a dot, as Docker and Kubernetes use for neighbouring services.
 */
function isNear(host: string): boolean {
  return (
    host === "" ||
    host === "localhost" ||
    host === "[::1]" ||
    (isIP(host) === 4 && host.startsWith("127.")) ||
    !/[.:]/.test(host)
  );
}

function checkRedis(settings: ProductionSettings): Check {
  if (!isSet(settings, "DATABASE_URL") || isSet(settings, "REDIS_URL"))
    return pass(
      "redis",
      isSet(settings, "REDIS_URL") ? "REDIS_URL is set" : "not needed for one replica",
    );
  return warning(
    "redis",
    "DATABASE_URL is set and REDIS_URL is not: with several replicas, rate limits and ctx.cache " +
      "are separate for each; rooms use Postgres.",
  );
}

function checkFiles(settings: ProductionSettings, manifest: Manifest | null): Check {
  if (manifest === null) return notChecked("files");
  const plugin = manifest.plugins?.find(({ name }) => name === "file_storage")?.config;
  const provider = String(plugin?.["backend"] ?? settings.env["PYLON_FILES_PROVIDER"] ?? "local");
  if (provider === "s3")
    return isSet(settings, "PYLON_S3_BUCKET") || plugin?.["bucket"] !== undefined
      ? pass("files", "in S3")
      : error("files", "Files are stored in S3, but no bucket is set: set PYLON_S3_BUCKET.");
  if (!isSet(settings, "DATABASE_URL")) return pass("files", "on the same disk as the database");
  return warning(
    "files",
    "Rows are in Postgres but files are on this machine's disk, where a second replica can't " +
      "read them. Set PYLON_FILES_PROVIDER=s3, or run one replica.",
  );
}

function checkPlugins(settings: ProductionSettings, manifest: Manifest | null): Check {
  if (manifest === null) return notChecked("plugins");
  try {
    const { size } = resolvePlugins(manifest.plugins ?? [], withPlaceholders(settings));
    return pass("plugins", `${size} with all required variables`);
  } catch (cause) {
    return error("plugins", cause instanceof Error ? cause.message : String(cause));
  }
}

async function checkMigration({ database }: Config, manifest: Manifest): Promise<Check> {
  const place = describeDatabase(database);
  if (database.kind === "sqlite" && !existsSync(database.path))
    return pass("migration", `${place} will be created at the first start`);
  try {
    const { migration, waiting, problems } = planStart(await peekManifest(database), manifest);
    const loss = problems.find(({ code }) => code === "SCHEMA_LOSES_DATA");
    const conversion = problems.find(({ code }) => code === "SCHEMA_CONVERTS");
    if (conversion !== undefined)
      return error(
        "migration",
        `The server would not start on ${place}. ${conversion.message} ${conversion.hint ?? ""}`,
      );
    if (loss !== undefined)
      return error(
        "migration",
        `The server would not start on ${place}. ${loss.message} Make a backup, then ` +
          "`pylon migrate apply --allow-destructive`.",
      );
    if (problems.length > 0)
      return warning("migration", problems.map(({ message }) => message).join(" | "));
    if (waiting.length > 0)
      return warning(
        "migration",
        `${place} has schema elements that the app does not declare; they are kept ` +
          `(${waiting.map(describeStep).join(", ")}). When no version needs them, run ` +
          "`pylon migrate apply --allow-destructive`.",
      );
    return pass(
      "migration",
      migration.steps.length === 0
        ? `${place} is up to date with the app's schema`
        : `${migration.steps.length} steps without data loss, applied at the next start`,
    );
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    // Many databases can only be reached by their server.
    if (/can't be reached/.test(message))
      return warning(
        "migration",
        `${place} can't be reached from here, so its schema was not compared: run ` +
          "this on a machine that can reach it, or run `pylon migrate plan` there.",
      );
    return error("migration", `${place} can't be read: ${message}`);
  }
}
