import { expect, test } from "bun:test";
import fc from "fast-check";
import { LoroDoc, type LoroText } from "loro-crdt";
import { updatesAfter } from "./updates.ts";
import { Version } from "./versions.ts";

// Histories of several peers that know different parts of each other's.

const steps = fc.array(
  fc.record({
    peer: fc.nat(2),
    do: fc.constantFrom("insert", "delete", "merge"),
    at: fc.nat(),
    length: fc.integer({ min: 1, max: 40 }),
  }),
  { minLength: 1, maxLength: 40 },
);

function textOf(document: LoroDoc): LoroText {
  return document.getText("text");
}

test("updates are small, and give the whole history in their order", () => {
  fc.assert(
    fc.property(steps, fc.nat(), fc.integer({ min: 1, max: 400 }), (taken, known, maxBytes) => {
      const documents = [new LoroDoc(), new LoroDoc(), new LoroDoc()];
      const [first = new LoroDoc()] = documents;
      const reader = new LoroDoc();
      for (const [index, step] of taken.entries()) {
        const document = documents[step.peer] ?? first;
        const text = textOf(document);
        const at = step.at % (text.length + 1);
        if (step.do === "insert") text.insert(at, "é".repeat(step.length));
        else if (step.do === "delete") text.delete(at, Math.min(step.length, text.length - at));
        else document.import((documents[(step.peer + 1) % 3] ?? first).export({ mode: "update" }));
        document.commit();
        if (index === known % taken.length) reader.import(first.export({ mode: "update" }));
      }
      for (const document of documents) first.import(document.export({ mode: "update" }));
      for (const { bytes, version } of updatesAfter(first, Version.of(reader), maxBytes)) {
        const before = reader.opCount();
        expect(reader.import(bytes).pending).toBeNull();
        expect(Version.of(reader)).toEqual(version);
        expect(bytes.length <= maxBytes || reader.opCount() === before + 1).toBe(true);
      }
      expect(reader.oplogVersion().compare(first.oplogVersion())).toBe(0);
      expect(textOf(reader).toString()).toBe(textOf(first).toString());
    }),
  );
});
