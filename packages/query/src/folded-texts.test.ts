import { expect, test } from "bun:test";
import { foldCase } from "./case-fold.ts";
import { foldedForm } from "./folded-texts.ts";
import { compilePredicate, parseFilter } from "./index.ts";

test("a text has the same folded form each time, however many texts came in between", () => {
  const texts = ["Äpfel", "Ä".repeat(100), "x".repeat(3_000_000), "Y".repeat(3_000_000)];
  for (const text of [...texts, ...texts])
    expect(foldedForm(text) === foldCase(text), text.slice(0, 9)).toBe(true);
});

test("T17: many filters fold a long text only once", () => {
  const row = { data: { id: "n", text: "Ä".repeat(300_000), title: "Ö".repeat(300_000) } };
  const shape = {
    name: "Note",
    fields: new Map([
      ["text", "string"],
      ["title", "string"],
    ] as const),
  };
  const tests = Array.from({ length: 50 }, (_, n) =>
    compilePredicate(
      parseFilter(
        { $or: [{ text: { $ilike: `%z${n}%` } }, { title: { $ilike: `%z${n}%` } }] },
        shape,
      ).where,
    ),
  );
  const cpuOf = (work: () => void): number => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const once = cpuOf(() => void [row.data.text, row.data.title].map(foldCase));
  const all = cpuOf(() => expect(tests.some((one) => one(row))).toBe(false));
  // Without it, it would be 50 times as much.
  expect(all).toBeLessThan(once * 10);
});
