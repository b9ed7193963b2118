import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { labelOf } from "./manifest-label.ts";
import { unknownKeys } from "./unknown-keys.ts";

type Json = Record<string, unknown>;

function sample(): Json {
  const manifest = buildManifest({
    name: "keys",
    version: "1.0.0",
    entities: [
      entity(
        "Todo",
        { title: field.string(), due: field.datetime().optional() },
        { indexes: [{ name: "by_title", fields: ["title"], unique: false }] },
      ),
    ],
    policies: [policy({ name: "own", entity: "Todo", allow: "true" })],
    auth: { user: { hide: ["x"] } },
    queues: { mail: { concurrency: 1, rate: { max: 1, perSeconds: 1 } } },
  });
  return JSON.parse(JSON.stringify(manifest)) as Json;
}

/** The objects of the manifest that have their own keys, by location. */
const PLACES: readonly [readonly (string | number)[], string, string][] = [
  [[], "", "buildManifest"],
  [["entities", 0], "entities[0]", "Todo"],
  [["queues", "mail"], "queues.mail", 'The queue "mail"'],
  [["entities", 0, "fields", 1], "entities[0].fields[1]", "Todo.due"],
  [["entities", 0, "indexes", 0], "entities[0].indexes[0]", 'The index "by_title" of Todo'],
  [["policies", 0], "policies[0]", 'The policy "own"'],
  [["auth"], "auth", "auth"],
  [["auth", "user"], "auth.user", "auth.user"],
];

function at(manifest: Json, path: readonly (string | number)[]): Json {
  let value: unknown = manifest;
  for (const part of path) value = (value as Json)[part];
  return value as Json;
}

test("an unknown key is found at any location, and labeled as its author knows it", () => {
  expect(unknownKeys(sample())).toEqual([]);
  fc.assert(
    fc.property(fc.constantFrom(...PLACES), fc.stringMatching(/^zq[a-z]{1,8}$/), (place, key) => {
      const [path, text, label] = place;
      const manifest = sample();
      at(manifest, path)[key] = 1;
      const [found, ...others] = unknownKeys(manifest);
      expect(others).toEqual([]);
      expect(found).toMatchObject({
        severity: "error",
        code: "MANIFEST_KEY_UNKNOWN",
        message: `${label} has the unknown key "${key}".`,
        path: text === "" ? key : `${text}.${key}`,
      });
      expect(labelOf(manifest, path)).toBe(label);
    }),
  );
});

test("a misspelled key is reported with a suggestion", () => {
  const hintFor = (path: readonly (string | number)[], key: string): string | undefined => {
    const manifest = sample();
    at(manifest, path)[key] = 1;
    return unknownKeys(manifest)[0]?.hint;
  };
  expect(hintFor([], "polices")).toBe('Did you mean "policies"?');
  expect(hintFor(["auth"], "hook")).toBe('Did you mean "hooks"?');
  // Keys that buildManifest adds are not suggested.
  expect(hintFor([], "zzz")).not.toContain("manifest_version");
});

test("any value can be checked, and a value that is not an object has no unknown keys", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (json) => {
      for (const { code } of unknownKeys(json)) expect(code).toBe("MANIFEST_KEY_UNKNOWN");
      if (typeof json !== "object" || json === null || Array.isArray(json))
        expect(unknownKeys(json)).toEqual([]);
    }),
  );
  for (const json of [{ entities: 7 }, { entities: [null, 7] }, { entities: [{ fields: {} }] }])
    expect(unknownKeys(json)).toEqual([]);
});

test("an element without a name is labeled with its number", () => {
  expect(labelOf({ entities: [{ name: "" }] }, ["entities", 0])).toBe("number 1");
  expect(labelOf({ entities: [{ name: "A", fields: [{}] }] }, ["entities", 0, "fields", 0])).toBe(
    "A.number 1",
  );
  expect(labelOf(null, ["entities", 3])).toBe("number 4");
  expect(labelOf({ routes: [{ path: "/a" }] }, ["routes", 0])).toBe('The route "/a"');
});
