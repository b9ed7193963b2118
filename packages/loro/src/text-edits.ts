import { insertText } from "@pylonsync/protocol";
import { LoroDoc, type LoroText } from "loro-crdt";

/** The replacement of a part of a text. Positions count UTF-16 units, as in JavaScript. */
export interface TextEdit {
  readonly start: number;
  readonly removed: number;
  readonly inserted: string;
}

/** The time in which the smallest difference of two texts is searched for, in milliseconds. */
const DIFF_MS = 50;

/** The length from which an insertion is made in pieces, in characters. */
const LONG_INSERTION = 10_000;

/**
 * Returns the edit that makes one text of the other; null for equal texts.
 *
 * @param caret the position of the caret after the edit. With it an edit of equal characters has
 *   the place where it was typed: `aa` may become `aaa` in three places.
 */
export function editBetween(before: string, after: string, caret = after.length): TextEdit | null {
  if (before === after) return null;
  const shorter = Math.min(before.length, after.length);
  // What is behind the caret was not edited.
  const behind = Math.min(shorter, Math.max(0, after.length - caret));
  const tail = commonEnd(before, after, behind);
  const isTyped = tail === after.length - caret;
  let end = isTyped ? tail : commonEnd(before, after, shorter);
  let start = 0;
  while (start < shorter - end && before[start] === after[start]) start += 1;
  // The caret may be in front of what was edited, as after deleting with the delete key.
  if (isTyped) {
    const rest = shorter - start;
    while (end < rest && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  }
  if (splitsPair(before, after, start)) start -= 1;
  if (splitsPair(before, after, before.length - end, after.length - end)) end -= 1;
  return {
    start,
    removed: before.length - start - end,
    inserted: after.slice(start, after.length - end),
  };
}

function commonEnd(one: string, other: string, max: number): number {
  let end = 0;
  while (end < max && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  return end;
}

/** Whether a character of two units would be split, which leaves invalid text. */
function splitsPair(one: string, other: string, at: number, otherAt = at): boolean {
  return isInsidePair(one, at) || isInsidePair(other, otherAt);
}

function isInsidePair(text: string, at: number): boolean {
  return at > 0 && at < text.length && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}

/** Applies an edit. */
export function applyEdit(text: LoroText, { start, removed, inserted }: TextEdit): void {
  if (removed > 0) text.delete(start, removed);
  if (inserted !== "") insertText(text, start, inserted);
}

/** Changes a text to another with the smallest difference, so that concurrent changes are kept. */
export function updateText(text: LoroText, next: string): void {
  const edit = editBetween(text.toString(), next);
  if (edit === null) return;
  // The library would insert a long text as one operation.
  const isLong = edit.inserted.length > LONG_INSERTION;
  if (isLong && edit.removed < edit.inserted.length / 10) return applyEdit(text, edit);
  try {
    text.update(next, { timeoutMs: DIFF_MS });
  } catch {
    // The texts are large and have little in common.
    applyEdit(text, edit);
  }
}

/** Merges two texts that were changed independently, starting from the same one. */
export function mergeTexts(base: string, mine: string, theirs: string): string {
  if (mine === base || mine === theirs) return theirs;
  if (theirs === base) return mine;
  const document = new LoroDoc();
  const text = document.getText("text");
  insertText(text, 0, base);
  document.commit();
  const other = document.fork();
  updateText(text, mine);
  updateText(other.getText("text"), theirs);
  other.commit();
  document.import(other.export({ mode: "update" }));
  return text.toString();
}

/** A change of a text, as events of Loro describe it. */
export type TextDelta = readonly {
  readonly retain?: number | undefined;
  readonly delete?: number | undefined;
  readonly insert?: unknown;
}[];

/** Returns an edit as a change. */
export function deltaOf(edit: TextEdit): TextDelta {
  const { start, removed, inserted } = edit;
  return [{ retain: start }, { insert: inserted }, { delete: removed }];
}

/** Returns the end of the last changed part, in the text after the change. */
export function endOf(delta: TextDelta): number {
  let at = 0;
  let end = 0;
  for (const { retain, insert } of delta) {
    at += retain ?? (typeof insert === "string" ? insert.length : 0);
    if (retain === undefined) end = at;
  }
  return end;
}

/** Returns where a position is after a change. Text inserted there comes behind it. */
export function movedBy(delta: TextDelta, position: number): number {
  let before = 0;
  let after = 0;
  for (const part of delta) {
    if (part.retain !== undefined) {
      if (position < before + part.retain) break;
      before += part.retain;
      after += part.retain;
    } else if (part.delete !== undefined) {
      if (position < before + part.delete) return after;
      before += part.delete;
    } else if (typeof part.insert === "string") {
      if (position <= before) break;
      after += part.insert.length;
    }
  }
  return after + position - before;
}
