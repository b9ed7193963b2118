import { expect, test } from "bun:test";
import { normaliseDatetime } from "@pylonsync/query";
import type { ManifestField } from "@pylonsync/sdk";
import fc from "fast-check";
import { defaultsToNow, repairedDatetime, NOW, withNormalDefault } from "./datetime-defaults.ts";
import { manifestArbitrary } from "./migration.arbitraries.ts";
import { hasRawDefault, toStored, withLeftovers } from "./stored-manifest.ts";

const TIME = "2026-01-05T12:00:00.000Z";
const times = fc.date({
  noInvalidDate: true,
  min: new Date(0),
  max: new Date(Date.parse(TIME) * 2),
});
const ids = fc.oneof(
  times.map((time) => time.getTime().toString(16).padStart(12, "0").padEnd(40, "0")),
  fc.constantFrom("chosen", "A".repeat(40), "0".repeat(39)),
);
const texts = fc.oneof(
  fc.constantFrom(NOW, "soon", "2026-01-05", "2026-01-05 10:00", "2026-01-05T10:00:00+02:00"),
  times.map((time) => time.toISOString()),
);

test("a text stored as a date is normalized, or becomes null where null is allowed", () => {
  fc.assert(
    fc.property(texts, ids, fc.boolean(), (text, id, optional) => {
      const repaired = repairedDatetime(text, { id, optional }, TIME);
      const normal = normaliseDatetime(text);
      if (normal !== undefined) expect(repaired).toBe(normal);
      else if (text !== NOW && optional) expect(repaired).toBeNull();
      else {
        const made = /^[0-9a-f]{40}$/.test(id) ? Number.parseInt(id.slice(0, 12), 16) : Infinity;
        // No row was created after the migration.
        expect(repaired).toBe(made <= Date.parse(TIME) ? new Date(made).toISOString() : TIME);
      }
      if (repaired !== null)
        expect(repairedDatetime(repaired, { id, optional }, TIME)).toBe(repaired);
    }),
    { numRuns: 300 },
  );
});

test("a default is normalized like its values, and remains the same when normalized again", () => {
  fc.assert(
    fc.property(texts, fc.constantFrom("datetime" as const, "string" as const), (text, type) => {
      const field: ManifestField = {
        name: "a",
        type,
        optional: true,
        unique: false,
        default: text,
      };
      const stored = withNormalDefault(field);
      const isDate = type === "datetime";
      expect(defaultsToNow(field)).toBe(isDate && text === NOW);
      expect(stored.default).toBe(
        isDate && text !== NOW ? (normaliseDatetime(text) ?? text) : text,
      );
      expect(withNormalDefault(stored)).toEqual(stored);
    }),
  );
});

test("a stored manifest has normalized defaults, and leftovers are joined to it", () => {
  fc.assert(
    fc.property(manifestArbitrary, manifestArbitrary, (app, other) => {
      const stored = toStored(app);
      expect(stored.entities.flatMap(({ fields }) => fields).some(hasRawDefault)).toBe(false);
      expect(toStored(stored)).toEqual(stored);
      // Only entities that the two do not share.
      const leftovers = other.entities.filter(({ name }) =>
        app.entities.every((entity) => entity.name !== name),
      );
      expect(withLeftovers({ ...stored, leftovers })).toEqual([...stored.entities, ...leftovers]);
    }),
  );
});
