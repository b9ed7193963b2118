import { expect, test } from "bun:test";
import { exampleArgs, type ArgSchema } from "./example-args.ts";

test("arguments have a value of each required type, and optional ones are left out", () => {
  const schema: Record<string, ArgSchema> = {
    title: { type: "string" },
    count: { type: "int" },
    done: { type: "bool" },
    tags: { type: "array", items: { type: "string" } },
    note: { type: "optional", inner: { type: "string" } },
    status: {
      type: "union",
      variants: [
        { type: "literal", value: "open" },
        { type: "literal", value: "closed" },
      ],
    },
    place: { type: "object", fields: { x: { type: "float" }, y: { type: "float" } } },
  };
  expect(exampleArgs(schema)).toEqual({
    title: "",
    count: 0,
    done: false,
    tags: [],
    status: "open",
    place: { x: 0, y: 0 },
  });
});

test("nested arguments have an end", () => {
  const endless: Record<string, ArgSchema> = {};
  endless["more"] = { type: "object", fields: endless };
  expect(JSON.stringify(exampleArgs(endless))).toBe(
    '{"more":{"more":{"more":{"more":{"more":{}}}}}}',
  );
});

test("no arguments are an empty object", () => {
  expect(exampleArgs({})).toEqual({});
});
