import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { renderClient, withReferences, type GeneratedFunction } from "./render-client.ts";

const manifest = buildManifest({ name: "a", version: "1", entities: [] });
const functions: GeneratedFunction[] = [
  { name: "addTodo", file: "functions/addTodo.ts", type: "mutation", internal: false },
  { name: "messages.send", file: "functions/messages/send.js", type: "action", internal: false },
  { name: "messages.store", file: "functions/messages/store.ts", type: "mutation", internal: true },
];
const render = (): string =>
  renderClient(manifest, functions, { entry: "app.ts", exportsApp: false });

const dir = mkdtempSync(join(tmpdir(), "pylon-client-"));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;

/** The runtime exports of the client. */
async function exportsOf(text: string): Promise<Record<string, unknown>> {
  const file = join(dir, `client-${(files += 1)}.ts`);
  writeFileSync(file, text.replaceAll(/^import .*$/gm, ""));
  return await import(file);
}

test("rows have the types of their fields, including json and arrays", () => {
  const Place = entity("Place", {
    state: field.enum(["open", "done"]),
    price: field.decimal(12, 2),
    tags: field.array(field.enum(["a", "b"])).default([]),
    counts: field.array(field.int()).optional(),
    any: field.json(),
    at: field
      .json(
        v.object({
          x: v.number(),
          "the-kind": v.optional(v.union(v.literal("a"), v.literal(1))),
          path: v.array(v.nullable(v.decimal())),
          more: v.looseObject({}),
        }),
      )
      .optional(),
  });
  const text = renderClient(buildManifest({ name: "a", version: "1", entities: [Place] }), [], {
    entry: "app.ts",
    exportsApp: false,
  });
  const [, members = ""] = /interface Place \{\n([^]*?)\n\}/.exec(text) ?? [];
  expect(members.split("\n").map((line) => line.trim())).toEqual([
    "readonly id: string;",
    'readonly state: "open" | "done";',
    "readonly price: string;",
    'readonly tags: ("a" | "b")[];',
    "readonly counts: number[] | null;",
    'readonly any: import("@pylonsync/sdk").Json;',
    'readonly at: { x: number; "the-kind"?: "a" | 1 | undefined; path: (string | null)[]; ' +
      "more: Record<never, never> & { readonly [key: string]: unknown } } | null;",
  ]);
});

test("references are names, internal ones apart; types come from the function's file", async () => {
  const text = render();
  const { api, internal } = await exportsOf(text);
  expect(api).toEqual({ addTodo: "addTodo", messages: { send: "messages.send" } });
  expect(internal).toEqual({ messages: { store: "messages.store" } });
  expect(text).toContain('import type fn1 from "./functions/messages/send.js";');
  expect(text).toContain('      "messages.store": "mutation";');
  expect(text).toContain('      "messages.store": typeof fn2;');
});

test("a client that has all references is unchanged", () => {
  expect(withReferences(render(), ["addTodo", "messages.send"])).toBe(render());
  expect(withReferences("", [])).toBe("");
});

test("a missing reference is added to the client before the functions load", async () => {
  const text = withReferences(render(), ["addTodo", "messages.send", "newOne"]);
  const { api, internal, FUNCTIONS } = await exportsOf(text);
  expect(api).toMatchObject({ newOne: "newOne", messages: { send: "messages.send" } });
  expect(internal).toMatchObject({ newOne: "newOne" });
  expect(FUNCTIONS).toEqual(["addTodo", "messages.send"]);
  expect(text).toContain('import type fn0 from "./functions/addTodo.ts";');
});

test("a client of an older version gets references", async () => {
  const { api } = await exportsOf(withReferences("export const ENTITIES = [];\n", ["a.b"]));
  expect(api).toEqual({ a: { b: "a.b" } });
});
