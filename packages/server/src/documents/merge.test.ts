import { expect, test } from "bun:test";
import fc from "fast-check";
import * as loro from "loro-crdt/base64";
import { RefusedUpdate, TextMerge } from "./merge.ts";
import type { MergeRequest } from "./merge-protocol.ts";

const { LoroDoc, LoroText } = loro;
const library = new TextMerge(loro);

function requestOf(body: string, more: Partial<MergeRequest> = {}): MergeRequest {
  const names = { state: null, nextState: "next" };
  const limits = { maxLength: 1e6, maxBytes: 2 * 1024 * 1024 };
  return { ...names, ...limits, texts: { body }, update: null, needsSnapshot: true, ...more };
}

/** The snapshot of a new document with this text. */
function documentOf(body: string): Uint8Array {
  const { snapshot } = library.merge(library.open([]), requestOf(body));
  return snapshot ?? new Uint8Array();
}

function bodyOf(document: InstanceType<typeof LoroDoc>): InstanceType<typeof LoroText> {
  const text = document.getMap("row").get("body");
  if (text instanceof LoroText) return text;
  throw new Error("The document has no text.");
}

const texts = fc.string({ unit: fc.constantFrom("a", "b", "\n", "é", "𝒳", "𝒴"), maxLength: 40 });

test("a text of the row is merged with what was edited meanwhile", () => {
  fc.assert(
    fc.property(texts, texts, fc.nat(), (before, after, seed) => {
      const stored = documentOf(before);
      const editor = library.read([stored]);
      const version = editor.version();
      // Between two characters, because a position may not be within one of two units.
      const at = Array.from(before)
        .slice(0, seed % (before.length + 1))
        .join("").length;
      bodyOf(editor).insert(at, "<edited>");
      editor.commit();
      const update = editor.export({ mode: "update", from: version });
      const document = library.open([stored]);
      const first = library.merge(document, requestOf(after));
      expect(first.texts).toEqual({ body: after });
      const second = library.merge(document, requestOf(after, { update }));
      expect(second.touched).toEqual(["body"]);
      const { body = "" } = second.texts;
      expect(body.replace("<edited>", "")).toBe(after);
      for (const { changes } of [first, second]) if (changes !== null) editor.import(changes);
      expect(bodyOf(editor).toString()).toBe(body);
    }),
  );
});

test("texts with nothing in common are replaced in a short time", () => {
  const [one, other] = ["ab", "cd"].map((pair) => pair.repeat(100_000));
  const document = library.open([documentOf(one ?? "")]);
  const { texts: merged, changes } = library.merge(document, requestOf(other ?? ""));
  expect(merged["body"] === other).toBe(true);
  expect(changes?.length).toBeLessThan(1_000_000);
});

test("a long text of the row is processed by its readers in a short time", () => {
  const stored = documentOf("begin");
  const document = library.open([stored]);
  const body = "x".repeat(900_000);
  const before = process.cpuUsage();
  const { changes, texts: merged } = library.merge(document, requestOf(body));
  const { user } = process.cpuUsage(before);
  expect(merged["body"] === body).toBe(true);
  expect(user / 1000).toBeLessThan(1_000);
  const reader = library.read([stored, changes ?? new Uint8Array()]);
  expect(bodyOf(reader).length).toBe(900_000);
});

test("a long text that others write at the same time as a reader is merged in a short time", () => {
  const stored = documentOf("begin");
  const [one, two] = [library.read([stored]), library.read([stored])];
  // The order of the peers matters.
  for (const [peer, editor] of [one, two].entries()) editor.setPeerId(`${peer + 1}`);
  const body = `begin${"pasted 𝒳 ".repeat(90_000)}`;
  const { changes } = library.merge(library.open([stored]), requestOf(body));
  for (const editor of [one, two]) {
    bodyOf(editor).insert(0, "typed ");
    editor.commit();
    const before = process.cpuUsage();
    editor.import(changes ?? new Uint8Array());
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(2_000);
    expect(bodyOf(editor).toString() === `typed ${body}`).toBe(true);
  }
});

test("a text above the maximum is refused", () => {
  const stored = documentOf("short");
  const editor = library.read([stored]);
  bodyOf(editor).insert(0, "x".repeat(1000));
  const update = editor.export({ mode: "update" });
  const merge = (maxLength: number) => (): unknown =>
    library.merge(library.open([stored]), requestOf("short", { update, maxLength }));
  expect(merge(1005)).not.toThrow();
  expect(merge(1004)).toThrow(new RefusedUpdate({ kind: "too-large" }));
});

/** A stored document after a new editor has typed and deleted in it. */
function typedIn(stored: Uint8Array, seed: number): Uint8Array {
  const editor = library.read([stored]);
  const before = bodyOf(editor).toString();
  const version = editor.version();
  const text = bodyOf(editor);
  for (let typed = 0; typed < 100; typed += 1) {
    text.insert(((typed + seed) * 7919) % (text.length + 1), String(typed + seed).repeat(100));
    if (text.length > 20_000) text.delete((typed * 104_729) % 10_000, 10_000);
    editor.commit();
  }
  const update = editor.export({ mode: "update", from: version });
  const request = requestOf(before, { update, maxBytes: 10_000 });
  const merged = library.merge(library.open([stored]), request);
  expect(merged.texts["body"] === text.toString()).toBe(true);
  return merged.snapshot ?? new Uint8Array();
}

test("the oldest part of a long history is dropped, and recent edits can still be merged", () => {
  const versions = [documentOf("")];
  for (let seed = 100; seed < 1500; seed += 100)
    versions.push(typedIn(versions.at(-1) ?? documentOf(""), seed));
  const stored = versions.at(-1) ?? documentOf("");
  const current = library.read([stored]);
  expect(current.isShallow()).toBe(true);
  expect(current.opCount()).toBeLessThan(200_000);
  const mergeEditOf = (version: Uint8Array): unknown => {
    const editor = library.read([version]);
    const from = editor.version();
    bodyOf(editor).insert(0, "<edited>");
    editor.commit();
    const update = editor.export({ mode: "update", from });
    const request = requestOf(bodyOf(current).toString(), { update });
    return library.merge(library.open([stored]), request).texts["body"];
  };
  expect(mergeEditOf(versions.at(-2) ?? stored)).toContain("<edited>");
  expect(() => mergeEditOf(versions[1] ?? stored)).toThrow(
    new RefusedUpdate({ kind: "incomplete" }),
  );
});
