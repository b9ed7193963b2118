import { ConfigError, type FilesConfig } from "../config/config.ts";
import type { PluginConfig } from "../plugins/plugin-config.ts";
import { PylonStartError } from "../start-error.ts";

/**
 * How files are stored: the config of the plugin `file_storage`, and the environment for anything
 * that it omits.
 */
export interface FileSettings {
  readonly storage:
    | { readonly kind: "local"; readonly dir: string }
    | {
        readonly kind: "s3";
        readonly bucket: string;
        readonly region: string;
        readonly endpoint: string | undefined;
        readonly credentials: FilesConfig["s3"]["credentials"];
      };
  readonly maxBytes: number;
  /**
   * Who may read a file that is in no field: any signed-in user who knows its id, or only its
   * owner.
   */
  readonly read: "signed-in" | "owner";
  /** Whether downloads are redirected to the storage, if clients can reach it. */
  readonly direct: boolean;
  readonly orphanMs: number;
  /** The maximum total bytes of a guest's files that are in no row. */
  readonly guestBytes: number;
  /** The maximum total bytes of a user's files; undefined: there is no limit. */
  readonly userBytes: number | undefined;
}

/**
 * @param plugin the config of `file_storage` with its variables resolved; undefined if the app does
 *   not name it
 * @throws PylonStartError for an invalid setting
 * @throws ConfigError if S3 is selected and there is no bucket
 */
export function fileSettings(config: FilesConfig, plugin: PluginConfig = {}): FileSettings {
  const backend = oneOf(plugin, "backend", ["local", "s3"]) ?? config.provider;
  const common = {
    maxBytes: bytes(plugin, "maxBytes") ?? config.maxBytes,
    read: oneOf(plugin, "read", ["signed-in", "owner"]) ?? ("signed-in" as const),
    direct: oneOf(plugin, "direct", ["true", "false"]) === "true",
    orphanMs: config.orphanHours * 60 * 60 * 1000,
    guestBytes: config.guestBytes,
    userBytes: config.userBytes,
  };
  if (backend === "local")
    return { ...common, storage: { kind: "local", dir: text(plugin, "dir") ?? config.dir } };
  const bucket = text(plugin, "bucket") ?? config.s3.bucket;
  if (bucket === undefined)
    throw new ConfigError(
      "PYLON_S3_BUCKET is not set, but files are to be stored in S3: " +
        "set the bucket, or set PYLON_FILES_PROVIDER to local.",
    );
  const endpoint = text(plugin, "endpoint") ?? config.s3.endpoint;
  if (endpoint !== undefined && !URL.canParse(endpoint))
    throw unusable("endpoint", "a URL such as http://minio:9000");
  return {
    ...common,
    storage: {
      kind: "s3",
      bucket,
      region: text(plugin, "region") ?? config.s3.region,
      endpoint,
      credentials: config.s3.credentials,
    },
  };
}

function text(plugin: PluginConfig, key: string): string | undefined {
  const value = plugin[key];
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw unusable(key, "a text");
}

/** Reads a number, which is a string if it comes from the environment. */
function bytes(plugin: PluginConfig, key: string): number | undefined {
  const value = plugin[key];
  if (value === undefined) return undefined;
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number > 0) return number;
  throw unusable(key, "a whole number of bytes");
}

function oneOf<const T extends string>(
  plugin: PluginConfig,
  key: string,
  known: readonly T[],
): T | undefined {
  const value = plugin[key];
  if (value === undefined) return undefined;
  const found = known.find((candidate) => candidate === String(value));
  if (found === undefined) throw unusable(key, known.join(" or "));
  return found;
}

/** Does not include the value, which may have come from the environment. */
function unusable(key: string, wants: string): PylonStartError {
  return new PylonStartError(
    `The setting "${key}" of the plugin file_storage is invalid: expected ${wants}.`,
  );
}
