import { expect, test } from "bun:test";
import fc from "fast-check";
import { LoroDoc } from "loro-crdt";
import {
  applyEdit,
  deltaOf,
  editBetween,
  mergeTexts,
  movedBy,
  updateText,
  type TextEdit,
} from "./text-edits.ts";

/** Few letters, so that they repeat, and characters of two units. */
const text = fc.string({ unit: fc.constantFrom("a", "b", "\n", "é", "😀", "😁"), maxLength: 12 });

function applied(before: string, edit: TextEdit | null): string {
  if (edit === null) return before;
  const { start, removed, inserted } = edit;
  return before.slice(0, start) + inserted + before.slice(start + removed);
}

test("an edit makes one text of the other, wherever the caret is, and splits no character", () => {
  fc.assert(
    fc.property(text, text, fc.nat(14), (before, after, caret) => {
      for (const edit of [editBetween(before, after), editBetween(before, after, caret)]) {
        expect(applied(before, edit)).toBe(after);
        const { text: loro } = textOf(before);
        if (edit !== null) applyEdit(loro, edit);
        expect(loro.toString()).toBe(after);
      }
    }),
  );
});

test.each([
  ["aa", "aaa", 1, { start: 0, removed: 0, inserted: "a" }],
  ["aa", "aaa", 2, { start: 1, removed: 0, inserted: "a" }],
  ["aa", "aaa", 3, { start: 2, removed: 0, inserted: "a" }],
  ["aaa", "aa", 0, { start: 0, removed: 1, inserted: "" }],
  ["aaa", "aa", 2, { start: 2, removed: 1, inserted: "" }],
  ["a😀b", "a😁b", 3, { start: 1, removed: 2, inserted: "😁" }],
  ["one two", "one", 3, { start: 3, removed: 4, inserted: "" }],
])("%j becomes %j with the caret at %i where it was typed", (before, after, caret, edit) => {
  expect(editBetween(before, after, caret)).toEqual(edit);
});

test("any text can be made of any other", () => {
  fc.assert(
    fc.property(text, text, (before, after) => {
      const { text: loro } = textOf(before);
      updateText(loro, after);
      expect(loro.toString()).toBe(after);
    }),
  );
  const { text: large } = textOf(Array.from({ length: 20_000 }, (_, index) => index).join());
  updateText(large, "x".repeat(50_000));
  expect(large.toString()).toBe("x".repeat(50_000));
});

test("texts that were changed independently are merged", () => {
  expect(mergeTexts("milk\nbread", "milk\nbread\neggs", "oat milk\nbread")).toBe(
    "oat milk\nbread\neggs",
  );
  fc.assert(
    fc.property(text, text, (base, other) => {
      expect(mergeTexts(base, base, other)).toBe(other);
      expect(mergeTexts(base, other, base)).toBe(other);
      expect(mergeTexts(base, other, other)).toBe(other);
    }),
  );
});

test("a position stays at its character through a change", () => {
  fc.assert(
    fc.property(text, text, fc.nat(14), (before, after, at) => {
      const position = Math.min(at, before.length);
      const edit = editBetween(before, after);
      const moved = edit === null ? position : movedBy(deltaOf(edit), position);
      if (edit === null || position <= edit.start) expect(moved).toBe(position);
      else if (position >= edit.start + edit.removed)
        expect(after.slice(moved)).toBe(before.slice(position));
      else expect(moved).toBe(edit.start + edit.inserted.length);
    }),
  );
  expect(movedBy([{ retain: 2 }, { insert: "xyz" }], 2)).toBe(2);
  expect(movedBy([{ insert: "xyz" }], 2)).toBe(5);
  expect(movedBy([{ retain: 1 }, { delete: 3 }], 2)).toBe(1);
});

function textOf(content: string): { readonly text: ReturnType<LoroDoc["getText"]> } {
  const document = new LoroDoc();
  const loro = document.getText("text");
  loro.insert(0, content);
  return { text: loro };
}

test.each(["1", "3"] as const)(
  "a long text is merged in a short time by peer %s, which has written too",
  (peer) => {
    const document = new LoroDoc();
    const loro = document.getText("text");
    loro.insert(0, "begin");
    document.commit();
    const other = document.fork();
    document.setPeerId("2");
    other.setPeerId(peer);
    other.getText("text").insert(0, "typed ");
    other.commit();
    const pasted = "pasted 😀 ".repeat(80_000);
    updateText(loro, `begin${pasted}`);
    document.commit();
    const before = process.cpuUsage();
    other.import(document.export({ mode: "update" }));
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(2_000);
    expect(other.getText("text").toString() === `typed begin${pasted}`).toBe(true);
  },
);
