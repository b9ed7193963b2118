import { expect, test } from "bun:test";
import { mutation } from "@pylonsync/functions";
import { buildManifest, definePlugin, entity, field } from "@pylonsync/sdk";
import { appOf } from "../../../../tests/support/server.ts";
import { compileApp } from "./compile-app.ts";

const plugin = definePlugin({
  name: "mine",
  hooks: { beforeInsert: () => true },
  functions: { "mine.run": mutation({ handler: () => null }) },
});
const manifest = buildManifest({
  name: "a",
  version: "1.0.0",
  access: "public",
  entities: [entity("Note", { text: field.string() })],
  plugins: [plugin],
});
const codesOf = (loaded: Parameters<typeof compileApp>[0]): string[] =>
  compileApp(loaded, { dev: false }).diagnostics.map(({ code, message }) => `${code}: ${message}`);

test("the functions of a plugin become the app's, and two with one name are an error", () => {
  const { app } = compileApp(appOf(manifest), { dev: false });
  expect([...(app?.functions.keys() ?? [])]).toEqual(["mine.run"]);
  // A separate process would not find it.
  expect(app?.functions.get("mine.run")?.isolate).toBe(false);
  expect(app?.model.hooks.isEmpty).toBe(false);
  const own = { "mine.run": mutation({ handler: () => 1 }) };
  expect(codesOf(appOf(manifest, own))).toEqual([
    'FUNCTION_DUPLICATE: The app and a plugin both define the function "mine.run".',
  ]);
});

test("an app that prints its manifest is rejected if functions compute its fields", () => {
  const made = buildManifest({
    name: "a",
    version: "1.0.0",
    access: "public",
    entities: [
      entity("Note", {
        text: field.string(),
        code: field.string().default(() => "x"),
        size: field.int().computed((row) => String(row["text"]).length),
      }),
    ],
  });
  expect(codesOf(appOf(made))).toEqual([]);
  const problem = "is set by a function, which a printed manifest can't contain.";
  expect(codesOf({ ...appOf(made), manifestModule: undefined })).toEqual([
    `FIELD_CODE_MISSING: Note.code ${problem}`,
    `FIELD_CODE_MISSING: Note.size ${problem}`,
  ]);
});

test("an app that prints its manifest gets a warning that the plugins' code is lost", () => {
  expect(codesOf(appOf(manifest))).toEqual([]);
  expect(codesOf({ ...appOf(manifest), manifestModule: undefined })).toEqual([
    "PLUGIN_CODE_MISSING: The app does not export its manifest, so hooks of mine do not run.",
  ]);
});
