import { expect, test } from "bun:test";
import fc from "fast-check";
import { LoroDoc, LoroText } from "loro-crdt";
import { insertText } from "@pylonsync/protocol";
import { EditHistory } from "./edit-history.ts";
import type { TextEdit } from "./text-edits.ts";

const LONG = "😀 A sentence of some words.\n".repeat(2_000);

const START = "x".repeat(60_000);

/** A document that two people have, and the history of one of them. */
class Shared {
  readonly mine = new LoroDoc();
  readonly theirs = new LoroDoc();
  readonly history = new EditHistory(() => this.mine);

  constructor(content: string) {
    insertText(this.theirs.getMap("row").setContainer("body", new LoroText()), 0, content);
    this.theirs.commit();
    this.exchange();
  }

  get text(): LoroText {
    return bodyOf(this.mine);
  }

  edit(start: number, removed: number, inserted = ""): void {
    this.history.edit("body", this.text, { start, removed, inserted });
  }

  /** Undoes or repeats an edit. @returns the text after it */
  undo(): string {
    this.history.undo("body", this.text);
    return this.text.toString();
  }
  redo(): string {
    this.history.redo("body", this.text);
    return this.text.toString();
  }

  insertTheirs(start: number, text: string): void {
    bodyOf(this.theirs).insert(start, text);
    this.theirs.commit();
  }

  exchange(): void {
    this.theirs.import(this.mine.export({ mode: "update" }));
    this.mine.import(this.theirs.export({ mode: "update" }));
    expect(bodyOf(this.theirs).toString()).toBe(this.text.toString());
  }

  /** The length of the longest operation that inserts text. */
  get longestInsertion(): number {
    const { changes } = this.mine.exportJsonUpdates();
    const lengths = changes.flatMap(({ ops }) =>
      ops.map(({ content }) => ("text" in content ? content.text.length : 0)),
    );
    return Math.max(0, ...lengths);
  }
}

function bodyOf(document: LoroDoc): LoroText {
  const text = document.getMap("row").get("body");
  if (text instanceof LoroText) return text;
  throw new Error("The document has no text.");
}

test("what undo and redo insert again is inserted in pieces", () => {
  const shared = new Shared(`${LONG}end`);
  shared.edit(0, LONG.length);
  expect(shared.undo()).toBe(`${LONG}end`);
  expect(shared.redo()).toBe("end");
  expect(shared.undo()).toBe(`${LONG}end`);
  shared.edit(LONG.length + 3, 0, LONG);
  expect(shared.undo()).toBe(`${LONG}end`);
  expect(shared.redo()).toBe(`${LONG}end${LONG}`);
  expect(shared.undo()).toBe(`${LONG}end`);
  // One more than the length of a piece, so that no pair of units is split.
  expect(shared.longestInsertion).toBeLessThanOrEqual(2_001);
});

test("a long part is restored where it was, among the edits of others", () => {
  const shared = new Shared(`one ${LONG}two`);
  shared.edit(4, LONG.length);
  shared.exchange();
  shared.insertTheirs(0, "😀> ");
  shared.insertTheirs("😀> one two".length, "!");
  shared.exchange();
  expect(shared.undo()).toBe(`😀> one ${LONG}two!`);
  shared.insertTheirs(0, "- ");
  shared.exchange();
  expect(shared.redo()).toBe("- 😀> one two!");
});

test("a replaced selection is one step, apart from what was typed before", () => {
  const shared = new Shared("");
  shared.edit(0, 0, "a");
  shared.edit(1, 0, LONG);
  shared.edit(1, LONG.length, "b");
  shared.edit(2, 0, "c");
  expect(shared.text.toString()).toBe("abc");
  expect(shared.undo()).toBe(`a${LONG}`);
  expect(shared.redo()).toBe("abc");
  expect(shared.undo()).toBe(`a${LONG}`);
  // What was typed before is still a step of its own.
  shared.undo();
  expect(shared.text.toString().startsWith("a")).toBe(false);
});

test("an edit without any effect left is skipped", () => {
  const shared = new Shared("one");
  shared.edit(0, 0, LONG);
  shared.edit(LONG.length, 3);
  shared.edit(0, LONG.length, "x");
  shared.exchange();
  bodyOf(shared.theirs).delete(0, 1);
  shared.theirs.commit();
  shared.exchange();
  expect(shared.undo()).toBe(LONG);
});

test("everybody has the same text, whatever is undone and repeated", () => {
  const size = fc.oneof(fc.nat(10), fc.integer({ min: 50_001, max: 60_000 }));
  const step = fc.oneof(
    fc.record({ at: fc.nat(), removed: size, inserted: size }),
    fc.constantFrom("undo" as const, "redo" as const, "theirs" as const, "exchange" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const shared = new Shared(START);
      let theirs = 0;
      for (const one of steps) {
        if (one === "undo" || one === "redo") shared[one]();
        else if (one === "exchange") shared.exchange();
        else if (one === "theirs") shared.insertTheirs(0, String(theirs++ % 10));
        else shared.history.edit("body", shared.text, within(shared, one));
      }
      shared.exchange();
      // Short edits may follow a long one within the time in which they are undone together.
      expect(shared.longestInsertion).toBeLessThanOrEqual(50_200);
    }),
    { numRuns: 60 },
  );
}, 60_000);

function within(
  { text: { length } }: Shared,
  { at, removed, inserted }: Readonly<Record<"at" | "removed" | "inserted", number>>,
): TextEdit {
  const start = at % (length + 1);
  return { start, removed: Math.min(removed, length - start), inserted: "y".repeat(inserted) };
}
