import { YAML } from "bun";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { referenceTree } from "./reference-tree.ts";

const read = (names: readonly string[]): unknown =>
  // An object literal of plain strings is also valid YAML.
  YAML.parse(referenceTree(names));

test("names are at the path that their dots spell", () => {
  expect(read(["addTodo", "messages.send", "messages.old.purge"])).toEqual({
    addTodo: "addTodo",
    messages: { send: "messages.send", old: { purge: "messages.old.purge" } },
  });
});

test("a name below that of a function keeps its full name", () => {
  expect(read(["messages", "messages.send", "a-b.c"])).toEqual({
    messages: "messages",
    "messages.send": "messages.send",
    "a-b": { c: "a-b.c" },
  });
});

test("no names are an empty object", () => {
  expect(referenceTree([])).toBe("{}");
});

test("every name is found, whatever the names are", () => {
  const part = fc.constantFrom("a", "b", "c", "x-y", "1");
  const names = fc.uniqueArray(
    fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(".")),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(names, (all) => {
      const found: unknown[] = [];
      const walk = (node: unknown): void => {
        if (typeof node === "object" && node !== null) Object.values(node).forEach(walk);
        else found.push(node);
      };
      walk(read(all));
      expect(new Set(found)).toEqual(new Set(all));
      expect(found).toHaveLength(all.length);
    }),
  );
});
