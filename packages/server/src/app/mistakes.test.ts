// What an author of app.ts is told about a mistake: the entity, the field and the remedy.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileApp } from "./compile-app.ts";
import { loadApp } from "./load-app.ts";

const dirs: string[] = [];
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

interface Told {
  readonly code: string;
  readonly path: string | undefined;
  /** Message and hint. */
  readonly text: string;
}

/** Returns the errors of an app.ts in a separate folder. */
async function errorsOf(source: string): Promise<Told[]> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "pylon-mistake-")));
  dirs.push(dir);
  writeFileSync(
    join(dir, "app.ts"),
    'import { auth, buildManifest, definePlugin, entity, field, policy } from "@pylonsync/sdk";\n' +
      `${source}\n`,
  );
  const { diagnostics } = compileApp(await loadApp(dir, { dev: true }), { dev: true });
  return diagnostics
    .filter(({ severity }) => severity === "error")
    .map(({ code, path, message, hint = "" }) => ({ code, path, text: `${message} ${hint}` }));
}

/** Creates an app with one entity that has these fields. */
const withFields = (fields: string, options = "{}"): string =>
  'export default buildManifest({ name: "a", version: "1", ' +
  `entities: [entity("Todo", { ${fields} }, ${options})] });`;
/** Creates an app with these additional keys. */
const withKeys = (keys: string): string =>
  'export default buildManifest({ name: "a", version: "1", ' +
  `entities: [entity("Todo", { text: field.string() })], ${keys} });`;

const MISTAKES: readonly (readonly [source: string, told: readonly string[]])[] = [
  [withFields(`text: "string"`), ["Todo.text", "field.string()"]],
  [withFields(`due: "datetime"`), ["Todo.due", "field.datetime()"]],
  [withFields(`text: "strng"`), ["Todo.text", 'Did you mean "string"?']],
  [withFields(`text: field.sting()`), ["Todo.text", "field.sting()", 'Did you mean "string"?']],
  [withFields(`text: field.sting().optional()`), ["Todo.text", "field.sting()"]],
  [withFields(`text: field.string().optionl()`), ["Todo.text", ".optionl()", '"optional"']],
  [
    withFields(`text: field.string().biggest(5).optional()`),
    ["Todo.text", ".biggest()", "Known: optional"],
  ],
  [withFields(`text: field.string`), ["Todo.text", "with parentheses"]],
  [
    withFields(`text: field.string({ optional: true })`),
    ["Todo.text", "no options", "field.string().optional()"],
  ],
  [withFields(`text: undefined`), ["Todo.text", "undefined", "field.string()"]],
  [withFields(`text: { type: "string" }`), ["Todo.text", "an object", "field.string()"]],
  [withFields(`other: field.id()`), ["Todo.other", 'field.id("User")']],
  [
    withFields(`other: field.id(entity("Tag", { name: field.string() }))`),
    ["Todo.other", 'field.id("Tag")'],
  ],
  [withFields(`other: field.id("Usr")`), ["Todo.other", '"Usr"']],
  [withFields(`photo: field.file({ maxByte: 5 })`), ["Todo.photo", 'Did you mean "maxBytes"?']],
  [withFields(`n: field.int().default("5")`), ["Todo.n", '"5"', "a whole number"]],
  [withFields(`n: field.int().default(1.5)`), ["Todo.n", "1.5", "a whole number"]],
  [withFields(`n: field.int().default(NaN)`), ["Todo.n"]],
  [withFields(`ok: field.bool().default("yes")`), ["Todo.ok", '"yes"', "true or false"]],
  [
    withFields(`due: field.datetime().default("tomorrow")`),
    ["Todo.due", '"tomorrow"', '.default("now")'],
  ],
  [withFields(`due: field.datetime().default("2026-02-30")`), ["Todo.due", '"2026-02-30"']],
  [withFields(`text: field.string().default({})`), ["Todo.text"]],
  [withFields(`text: field.string()`, "{ indexs: [] }"), ["Todo", '"indexs"', '"indexes"']],
  [
    withFields(
      `text: field.string()`,
      `{ indexes: [{ name: "by_text", feilds: ["text"], fields: ["text"], unique: false }] }`,
    ),
    ["by_text", "Todo", '"feilds"', '"fields"'],
  ],
  [
    withFields(`text: field.string()`, `{ indexes: [{ name: "by_text" }] }`),
    ["by_text", "Todo", '"entities[0].indexes[0].fields" is missing'],
  ],
  [
    withFields(`text: field.string()`, `{ search: { txt: ["text"] } }`),
    ["search of Todo", '"text"'],
  ],
  [withFields(`text: field.string()`, `[]`), ["Todo", "{ indexes: [...] }"]],
  [
    `export default buildManifest({ name: "a", version: "1", entities: [entity("Todo")] });`,
    ["Todo", "field.string()"],
  ],
  [
    `export default buildManifest({ name: "a", version: "1", entities: [entity({})] });`,
    ["its name"],
  ],
  [`export default buildManifest({ name: "a", version: "1" });`, ["entities: [Todo]"]],
  [`export default buildManifest();`, ["buildManifest", "entities: [Todo]"]],
  [
    `export default buildManifest({ name: "a", version: "1", entities: {} });`,
    ["entities", "must be a list"],
  ],
  [withKeys(`polices: []`), ["buildManifest", '"polices"', 'Did you mean "policies"?']],
  [withKeys(`auth: 5`), ["auth of buildManifest is 5", "auth({ ... })"]],
  [withKeys(`auth: []`), ["auth of buildManifest is a list"]],
  [withKeys(`onStart: () => 1`), ['"onStart"', "Known: name"]],
  [
    withKeys(
      `policies: [policy({ name: "own", entity: "Todo", allow: "true", allowRaed: "false" })]`,
    ),
    ['policy "own"', '"allowRaed"', 'Did you mean "allowRead"?'],
  ],
  [
    withKeys(`policies: [policy({ name: "own", entity: "Todo", allow: true })]`),
    ['policy "own"', "policies[0].allow", "text"],
  ],
  [withKeys(`policies: policy({ name: "own" })`), ["policies", "a list"]],
  [withKeys(`plugins: [{ name: "x", hook: {} }]`), ['plugin "x"', '"hook"', '"hooks"']],
  [
    withKeys(`plugins: [{ name: "x", beforeInsert: () => true }]`),
    ['plugin "x"', '"beforeInsert"'],
  ],
  [
    withKeys(`plugins: [definePlugin({ name: "x", hooks: { beforeInsrt: () => true } })]`),
    ['plugin "x"', '"beforeInsrt"', 'Did you mean "beforeInsert"?'],
  ],
  [
    withKeys(`plugins: [definePlugin({ name: "x", hooks: { beforeInsert: true } })]`),
    ['plugin "x"', "beforeInsert", "a function"],
  ],
  [withKeys(`plugins: definePlugin({ name: "x" })`), ["plugins", "must be a list"]],
  [withKeys(`plugins: [undefined]`), ["plugins[0]", "definePlugin"]],
  [withKeys(`plugins: [auth({ pages: false })]`), ["plugins[0]", "write auth: auth({ ... })"]],
  [withKeys(`policies: [auth({ session: {} })]`), ["policies[0]", "write auth: auth({ ... })"]],
  [
    withKeys(`webhooks: definePlugin({ name: "webhooks", config: {} })`),
    ["webhooks", "a plugin", "write plugins: [...]"],
  ],
  [withKeys(`crons: [definePlugin({ name: "x", hooks: {} })]`), ["crons[0]", "plugins: [...]"]],
  [
    withKeys(`plugins: [{ name: "lobby", allowJoin: "true" }]`),
    ["plugins[0]", "write rooms: [{ name, allow }]"],
  ],
  [
    withKeys(`plugins: [{ name: "x", schedule: "@daily", function: "x" }]`),
    ["plugins[0]", "write crons: [{ name, schedule, function }]"],
  ],
  [
    withKeys(`rooms: [policy({ name: "own", entity: "Todo", allow: "true" })]`),
    ["rooms[0]", "a policy", "write policies: [...]"],
  ],
  [
    withKeys(`policies: [entity("Tag", { name: field.string() })]`),
    ["policies[0]", "an entity", "write entities: [...]"],
  ],
  [withKeys(`queries: [{ type: "query", handler: () => 1 }]`), ["queries[0]", "functions/"]],
  [withKeys(`auth: auth({ sesion: {} })`), ["auth", '"sesion"', '"session"']],
  [withKeys(`auth: auth({ onSignUp: () => true })`), ["auth", '"onSignUp"', "hooks"]],
  [withKeys(`auth: auth({ session: { expiresln: 5 } })`), ["auth.session", '"expiresIn"']],
  [
    withKeys(`auth: auth({ hooks: { onSignup: () => true } })`),
    ["auth()", 'Did you mean "onSignUp"?'],
  ],
  [withKeys(`auth: auth({ mails: { "sign-in": () => true } })`), ["auth()", '"sign-in"']],
];

/** Internal error texts, which tell an author of an app nothing. */
const INTERNAL = /is not a function|undefined is not|cannot read|not iterable|is not an object/i;

test("P6: every mistake in app.ts names its subject, and the remedy", async () => {
  for (const [source, told] of MISTAKES) {
    const errors = await errorsOf(source);
    const text = errors.map((error) => error.text).join("\n");
    expect({ source, missing: told.filter((part) => !text.includes(part)), text }).toEqual({
      source,
      missing: [],
      text,
    });
    expect({ source, text }).toEqual({ source, text: expect.not.stringMatching(INTERNAL) });
  }
});

test("P6: a field that can't be created is reported with its location", async () => {
  const source =
    `const Todo = entity("Todo", {\n  text: field.string(),\n  due: field.money(),\n});\n` +
    `export default buildManifest({ name: "a", version: "1", entities: [Todo] });`;
  expect(await errorsOf(source)).toMatchObject([
    { code: "APP_FAILED", path: expect.stringMatching(/^app\.ts:4:\d+$/) },
  ]);
});

test("P6: all unknown keys are reported together, with their locations", async () => {
  const errors = await errorsOf(
    withKeys(
      `polices: [], policies: [policy({ name: "own", entity: "Todo", alow: "true" })], routs: []`,
    ),
  );
  expect(
    errors.filter(({ code }) => code === "MANIFEST_KEY_UNKNOWN").map(({ path }) => path),
  ).toEqual(["polices", "routs", "policies[0].alow"]);
});

test("a package that is not installed is reported with the remedy, unlike a file", async () => {
  const textOf = async (specifier: string): Promise<string> => {
    const errors = await errorsOf(`import ${JSON.stringify(specifier)};\n${withKeys("")}`);
    return errors.map(({ text }) => text.trim()).join("\n");
  };
  // Bun does not look for it again, so saving a file would not help.
  const install = /'@acme\/none'.*\. Install it and start Pylon again, or correct its name\.$/;
  expect(await textOf("@acme/none")).toMatch(install);
  expect(await textOf("./none.ts")).toMatch(/none\.ts/);
  expect(await textOf("./none.ts")).not.toContain("Install");
});
