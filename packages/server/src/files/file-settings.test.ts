import { expect, test } from "bun:test";
import { ConfigError } from "../config/config.ts";
import { loadConfig } from "../config/load-config.ts";
import { fileSettings } from "./file-settings.ts";

const HOUR_MS = 60 * 60 * 1000;

function settings(
  env: Record<string, string>,
  plugin?: Record<string, unknown>,
): ReturnType<typeof fileSettings> {
  return fileSettings(loadConfig(env).files, plugin);
}

test("without settings, files are stored in a folder", () => {
  expect(settings({})).toEqual({
    maxBytes: 5 * 1024 ** 3,
    read: "signed-in",
    direct: false,
    orphanMs: 24 * HOUR_MS,
    guestBytes: 100 * 1024 ** 2,
    userBytes: undefined,
    storage: { kind: "local", dir: "uploads" },
  });
});

test("the environment chooses S3, and without keys the machine's role is used", () => {
  const env = { PYLON_FILES_PROVIDER: "s3", PYLON_S3_BUCKET: "b", AWS_REGION: "eu-west-1" };
  expect(settings(env).storage).toEqual({
    kind: "s3",
    bucket: "b",
    region: "eu-west-1",
    endpoint: undefined,
    credentials: undefined,
  });
  expect(
    settings({
      ...env,
      PYLON_S3_REGION: "us-west-2",
      PYLON_S3_ACCESS_KEY: "a",
      PYLON_S3_SECRET_KEY: "s",
    }).storage,
  ).toMatchObject({
    region: "us-west-2",
    credentials: { accessKeyId: "a", secretAccessKey: "s" },
  });
});

test("the settings of the app take precedence over the environment", () => {
  const env = { PYLON_S3_BUCKET: "b", PYLON_S3_REGION: "eu-west-1", PYLON_FILES_MAX_BYTES: "5" };
  const plugin = {
    backend: "s3",
    bucket: "mine",
    maxBytes: "7",
    read: "owner",
    direct: true,
    endpoint: "http://minio:9000",
  };
  expect(settings(env, plugin)).toMatchObject({
    maxBytes: 7,
    read: "owner",
    direct: true,
    storage: { bucket: "mine", region: "eu-west-1", endpoint: "http://minio:9000" },
  });
  expect(
    settings({ PYLON_FILES_PROVIDER: "s3" }, { backend: "local", dir: "elsewhere" }).storage,
  ).toEqual({ kind: "local", dir: "elsewhere" });
});

test.each([
  [{ PYLON_FILES_PROVIDER: "s3" }, "PYLON_S3_BUCKET"],
  [{ PYLON_S3_ACCESS_KEY: "a" }, "PYLON_S3_SECRET_KEY"],
  [{ PYLON_S3_SECRET_KEY: "s3cr3t" }, "PYLON_S3_ACCESS_KEY"],
  [{ PYLON_FILES_PROVIDER: "stack0" }, "PYLON_FILES_PROVIDER"],
  [{ PYLON_S3_ENDPOINT: "minio:9000" }, "PYLON_S3_ENDPOINT"],
])("%j does not start, and says why", (env, name) => {
  expect(() => settings(env)).toThrow(ConfigError);
  expect(() => settings(env)).toThrow(name);
  expect(() => settings(env)).not.toThrow("s3cr3t");
});

test.each([
  ["backend", "stack0"],
  ["maxBytes", -1],
  ["maxBytes", "many"],
  ["read", "everyone"],
  ["direct", "maybe"],
  ["bucket", ""],
  ["endpoint", "minio"],
])("the setting %s = %j is rejected by name", (key, value) => {
  expect(() => settings({}, { backend: "s3", bucket: "b", [key]: value })).toThrow(
    `"${key}" of the plugin file_storage`,
  );
});
