/** The maximum length of a text that is inserted into a document as one operation. */
const MAX_PIECE_LENGTH = 2_000;

/** A text of a document, as far as it is needed to insert into it. */
interface InsertableText {
  insert(position: number, text: string): void;
}

/**
 * Inserts a text into a text of a document. A long one is inserted in pieces, the last one first,
 * so that the library does not join them to one operation: the time that everybody needs to merge
 * an operation grows with the square of its length.
 *
 * @example
 * insertText(document.getText("body"), 0, "a".repeat(1_000_000));
 */
export function insertText(target: InsertableText, position: number, text: string): void {
  let end = text.length;
  do {
    let start = Math.max(0, end - MAX_PIECE_LENGTH);
    if (isWithinPair(text, start)) start -= 1;
    target.insert(position, text.slice(start, end));
    end = start;
  } while (end > 0);
}

/** Whether a character of two units is cut by this position. */
function isWithinPair(text: string, at: number): boolean {
  return at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}
