import { buildManifest, entity, field } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { withCurrentNames } from "./old-names.ts";
import { Schema } from "./schema.ts";

const { entities } = Schema.fromManifest(
  buildManifest({
    name: "names",
    version: "1.0.0",
    entities: [
      entity("Post", {
        title: field.string().renamedFrom("name").renamedFrom("label"),
        text: field.string().optional(),
      }),
    ],
  }),
);

test("the renamed data has each field once, and nothing that was not sent", () => {
  const [post] = entities;
  if (post === undefined) throw new Error("The manifest has it.");
  const key = fc.constantFrom("title", "name", "label", "text", "__proto__", "constructor", "x");
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.nat(9))), (entries) => {
      const sent: Record<string, unknown> = Object.fromEntries(entries);
      const named = withCurrentNames(post, sent);
      const { title, label, name, ...others } = sent;
      const shown = [title, name, label].find((value) => value !== undefined);
      const expected = { ...others, ...(shown === undefined ? {} : { title: shown }) };
      expect(new Map(Object.entries(Object(named)))).toEqual(new Map(Object.entries(expected)));
      expect(Object.getPrototypeOf(named)).toBe(Object.prototype);
    }),
  );
  const sent: unknown = JSON.parse('{"__proto__": {"text": "unseen"}}');
  const named = Object(withCurrentNames(post, sent));
  expect([named["text"], Object.keys(named)]).toEqual([undefined, ["__proto__"]]);
});
