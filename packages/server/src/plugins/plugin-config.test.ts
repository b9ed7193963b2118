import { expect, test } from "bun:test";
import { buildManifest, definePlugin, entity, field, hooksOf } from "@pylonsync/sdk";
import { PylonStartError } from "../start-error.ts";
import { resolvePlugins } from "./plugin-config.ts";

const ENV = { BUCKET: "b1", PREFIX: "p", TRICKY: "${env.BUCKET}", EMPTY: "" };

function resolve(config: Record<string, unknown>): unknown {
  return resolvePlugins([{ name: "file_storage", config }], ENV).get("file_storage");
}

test("variables are replaced, several in a string, and at any depth", () => {
  expect(
    resolve({
      bucket: "${env.PREFIX}-${env.BUCKET}-x",
      maxBytes: 5,
      deep: { list: ["${env.BUCKET}", true, null] },
    }),
  ).toEqual({
    bucket: "p-b1-x",
    maxBytes: 5,
    deep: { list: ["b1", true, null] },
  });
});

test("a value is not expanded again, and text that is not a reference is unchanged", () => {
  expect(resolve({ a: "${env.TRICKY}", b: "$BUCKET ${BUCKET} ${env.} ${env.1A} $${x}" })).toEqual({
    a: "${env.BUCKET}",
    b: "$BUCKET ${BUCKET} ${env.} ${env.1A} $${x}",
  });
});

test("the manifest keeps the reference", () => {
  const plugins = [{ name: "file_storage", config: { bucket: "${env.BUCKET}" } }];
  resolvePlugins(plugins, ENV);
  expect(plugins[0]?.config.bucket).toBe("${env.BUCKET}");
});

test.each(["MISSING", "EMPTY", "toString"])(
  "the unset variable %s is reported with its plugin and setting",
  (name) => {
    const act = (): unknown =>
      resolve({ bucket: "${env.BUCKET}", nested: { region: `\${env.${name}}` } });
    expect(act).toThrow(PylonStartError);
    expect(act).toThrow(
      'The setting "nested.region" of the plugin file_storage requires ' +
        `the environment variable ${name}, which is not set.`,
    );
  },
);

test("a manifest contains settings, and keeps an app's own plugins separate", () => {
  const hooks = { beforeInsert: () => true };
  const manifest = buildManifest({
    name: "a",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
    plugins: [
      { name: "file_storage", config: { backend: "s3", bucket: "${env.BUCKET}" } },
      definePlugin({ name: "own", hooks }),
    ],
  });
  expect(JSON.parse(JSON.stringify(manifest.plugins))).toEqual([
    { name: "file_storage", config: { backend: "s3", bucket: "${env.BUCKET}" } },
    { name: "own", custom: true },
  ]);
  expect(hooksOf(manifest)).toEqual([hooks]);
});
