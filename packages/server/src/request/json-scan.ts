import { MAX_JSON_DEPTH, MAX_JSON_VALUES, PylonError } from "@pylonsync/protocol";

const QUOTE = 34;
const COMMA = 44;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** Text as character codes, with a fast search for quotes. */
interface Codes {
  readonly length: number;
  at(index: number): number;
  /** @returns the index of the next quote, or -1 */
  nextQuote(from: number): number;
}

/**
 * Scans JSON before it is parsed, so that a body that is designed to use much memory is rejected
 * first. It checks the nesting depth and the number of values. It receives the text in chunks and
 * stores none of it. The parser checks whether the text is valid JSON.
 */
export class JsonScan {
  readonly #maxValues: number;
  #depth = 0;
  #values = 1;
  #isInString = false;
  #isEscaped = false;

  constructor(maxValues = MAX_JSON_VALUES) {
    this.#maxValues = maxValues;
  }

  /** @throws PylonError INVALID_JSON */
  bytes(chunk: Uint8Array): void {
    this.#scan({
      length: chunk.length,
      at: (index) => chunk[index] ?? 0,
      nextQuote: (from) => chunk.indexOf(QUOTE, from),
    });
  }

  /** @throws PylonError INVALID_JSON */
  text(text: string): void {
    this.#scan({
      length: text.length,
      at: (index) => text.charCodeAt(index),
      nextQuote: (from) => text.indexOf('"', from),
    });
  }

  #scan(codes: Codes): void {
    let index = this.#isInString ? this.#skipString(codes, 0) : 0;
    while (index < codes.length) {
      const code = codes.at(index);
      index += 1;
      if (code === QUOTE) {
        this.#isInString = true;
        index = this.#skipString(codes, index);
      } else if (code === COMMA) this.#values += 1;
      else if (code === OPEN_LIST || code === OPEN_OBJECT) this.#open();
      else if (code === CLOSE_LIST || code === CLOSE_OBJECT) this.#depth -= 1;
    }
    if (this.#values <= this.#maxValues) return;
    throw new PylonError("INVALID_JSON", `The body has more than ${this.#maxValues} values.`, {
      hint: "Split it into several requests.",
    });
  }

  /**
   * @returns the index after the string, or the length if the string does not end here
   */
  #skipString(codes: Codes, from: number): number {
    let start = this.#isEscaped ? from + 1 : from;
    this.#isEscaped = false;
    for (;;) {
      const quote = codes.nextQuote(start);
      const end = quote === -1 ? codes.length : quote;
      const isEscaped = isOdd(backslashesBefore(codes, end, start));
      if (quote === -1) {
        this.#isEscaped = isEscaped;
        return codes.length;
      }
      start = quote + 1;
      if (isEscaped) continue;
      this.#isInString = false;
      return start;
    }
  }

  #open(): void {
    this.#values += 1;
    this.#depth += 1;
    if (this.#depth > MAX_JSON_DEPTH)
      throw new PylonError("INVALID_JSON", `The body nests deeper than ${MAX_JSON_DEPTH} levels.`);
  }
}

/** Counts the backslashes directly before `end`, not before `start`. */
function backslashesBefore(codes: Codes, end: number, start: number): number {
  let index = end;
  while (index > start && codes.at(index - 1) === BACKSLASH) index -= 1;
  return end - index;
}

function isOdd(count: number): boolean {
  return count % 2 === 1;
}

/**
 * Scans a whole text.
 *
 * @throws PylonError INVALID_JSON
 */
export function scanJson(text: string, maxValues = MAX_JSON_VALUES): void {
  if (!isHarmless(text, maxValues)) new JsonScan(maxValues).text(text);
}

/** Whether a text, like most messages, is too short to be too large or too deep. */
const SHORT = 1024;

function isHarmless(text: string, maxValues: number): boolean {
  if (text.length > SHORT || text.length > maxValues) return false;
  let opened = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === OPEN_OBJECT || code === OPEN_LIST) opened += 1;
  }
  return opened <= MAX_JSON_DEPTH;
}
