import { expect, test } from "bun:test";
import fc from "fast-check";
import { createWriteThroughStorage, storageKey } from "./storage.ts";

test("a storage contains its seed and later writes, and reports each write", () => {
  const key = fc.constantFrom("a", "b", "__proto__");
  const writes = fc.array(fc.tuple(key, fc.option(fc.string())));
  fc.assert(
    fc.property(fc.dictionary(key, fc.string()), writes, (seed, all) => {
      const told: (readonly [string, string | null])[] = [];
      const storage = createWriteThroughStorage(seed, (name, value) => told.push([name, value]));
      const expected = new Map<string, string | null>(Object.entries(seed));
      for (const [name, value] of all) {
        if (value === null) storage.remove(name);
        else storage.set(name, value);
        expected.set(name, value);
        for (const one of ["a", "b", "__proto__"])
          expect(storage.get(one)).toBe(expected.get(one) ?? null);
      }
      expect(told).toEqual(all);
    }),
  );
});

test("apps on one origin share no key", () => {
  const slots = ["token", "client_id"];
  const names = fc.constantFrom("default", "todos", "shop");
  fc.assert(
    fc.property(names, names, (one, other) => {
      const keysOf = (app: string): string[] => slots.map((slot) => storageKey(app, slot));
      const all = new Set([...keysOf(one), ...keysOf(other)]);
      expect(all.size).toBe(one === other ? slots.length : 2 * slots.length);
    }),
  );
});
