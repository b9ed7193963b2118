import { MAX_JSON_DEPTH, MAX_JSON_VALUES, PylonError } from "@pylonsync/protocol";

const QUOTE = 34;
const COMMA = 44;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/**
 * Looks through JSON before it is parsed, so that a body that is made to cost memory costs none:
 * how deep it nests and how many values it has. It takes the text piece by piece and keeps nothing
 * of it. Whether it is JSON at all is left to the parser.
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
    for (let index = 0; index < chunk.length; index += 1) this.#take(chunk[index] ?? 0);
    this.#check();
  }

  /** @throws PylonError INVALID_JSON */
  text(text: string): void {
    for (let index = 0; index < text.length; index += 1) this.#take(text.charCodeAt(index));
    this.#check();
  }

  #take(code: number): void {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (code === BACKSLASH) this.#isEscaped = true;
      else if (code === QUOTE) this.#isInString = false;
      return;
    }
    if (code === QUOTE) this.#isInString = true;
    else if (code === COMMA) this.#values += 1;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      this.#values += 1;
      this.#depth += 1;
      if (this.#depth > MAX_JSON_DEPTH) throw tooDeep();
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) this.#depth -= 1;
  }

  #check(): void {
    if (this.#values <= this.#maxValues) return;
    throw new PylonError("INVALID_JSON", `The body has more than ${this.#maxValues} values.`, {
      hint: "Send it in parts.",
    });
  }
}

function tooDeep(): PylonError {
  return new PylonError("INVALID_JSON", `The body nests deeper than ${MAX_JSON_DEPTH} levels.`);
}
