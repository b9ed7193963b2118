import { BODY_LIMITS, PylonError } from "@pylonsync/protocol";
import type { JSONParser } from "@streamparser/json";
import { JsonScan } from "../request/json-scan.ts";
import { errorText } from "../util/errors.ts";
import { isRecord } from "../util/is-record.ts";

/** One row of an import, as sent. */
export interface ImportRow {
  /**
   * Counted from 1: the line of NDJSON, or for JSON the row's position in the list of its entity.
   */
  readonly line: number;
  readonly entity: string;
  readonly row: unknown;
  /** Of a file with columns: the place of each field, counted from 1. */
  readonly columns?: ReadonlyMap<string, number>;
}

/** A part of the body that contains no row; the rest is still read. */
export interface UnreadableLine {
  readonly line: number;
  /** If the whole body is about one. */
  readonly entity?: string;
  /** The place of the mistake in the line, in a file with columns. */
  readonly column?: number;
  readonly error: PylonError;
}

/** A parsed line of an import. */
export type ImportItem = ImportRow | UnreadableLine;

const NEWLINE = 0x0a;

/** The first bytes of a body, by which its format is recognized. */
const HEAD_BYTES = 64;
/** A line of a row; a JSON body begins with its `entities`, or with a field of an export. */
const ROW_START = /^\s*\{\s*"(?:entity|row)"/;

/**
 * Yields the rows of a body in either format, recognized by its beginning: tools such as curl send
 * lines under the media type of forms or of JSON.
 *
 * @throws PylonError as `rowsOfLines` and `rowsOfJson`
 */
export async function* rowsOfBody(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ImportItem> {
  const rest = chunks[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  while (head.length < HEAD_BYTES) {
    const next = await rest.next();
    if (next.done === true) break;
    head = joined(head, next.value);
  }
  const all = (async function* () {
    yield head;
    for await (const chunk of { [Symbol.asyncIterator]: () => rest }) yield chunk;
  })();
  const start = new TextDecoder().decode(head.subarray(0, HEAD_BYTES));
  yield* ROW_START.test(start) ? rowsOfLines(all) : rowsOfJson(all);
}

/**
 * Yields the rows of a body of any size one by one: lines of `{"entity": ..., "row": {...}}`, the
 * format of an NDJSON export.
 *
 * @throws PylonError PAYLOAD_TOO_LARGE for a line of more than BODY_LIMITS.rows
 */
export async function* rowsOfLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ImportItem> {
  let line = 0;
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const bytes = joined(rest, chunk.subarray(start, end));
      rest = new Uint8Array();
      start = end + 1;
      line += 1;
      yield* rowOfLine(bytes, line);
    }
    rest = joined(rest, chunk.subarray(start));
    refuseLargeRow(rest.length);
  }
  yield* rowOfLine(rest, line + 1);
}

/**
 * Yields the rows of a JSON body of any size, `{"entities": {"Todo": [...]}}`, the format of an
 * export. Holds at most one row in memory.
 *
 * @throws PylonError INVALID_JSON, MISSING_FIELD, INVALID_DATA, PAYLOAD_TOO_LARGE for a row of more
 *   than BODY_LIMITS.rows
 */
export async function* rowsOfJson(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ImportItem> {
  // Loaded here because only an import needs the parser.
  const { JSONParser } = await import("@streamparser/json");
  const parser = new JSONParser({
    paths: ["$.entities", "$.entities.*", "$.entities.*.*"],
    keepStack: false,
  });
  const found = new FoundValues(parser);
  let waiting = 0;
  // The parser would put replacement characters in place of invalid UTF-8.
  const decoder = new TextDecoder("utf-8", { fatal: true });
  // The total number of values is not bounded, because they are read row by row.
  const scan = new JsonScan(Infinity);
  for await (const chunk of chunks) {
    scan.bytes(chunk);
    attempt(() => parser.write(decoder.decode(chunk, { stream: true })));
    waiting += chunk.length;
    for (const item of found.take()) {
      waiting = 0;
      yield item;
    }
    refuseLargeRow(waiting);
  }
  attempt(() => {
    decoder.decode();
    if (!parser.isEnded) parser.end();
  });
  yield* found.take();
  found.checkComplete();
}

/** The values that the parser has found and that are not consumed yet. */
class FoundValues {
  #rows: ImportRow[] = [];
  #hasEntities = false;

  constructor(parser: JSONParser) {
    parser.onValue = ({ value, key, stack }) => {
      const [, , { key: entity } = { key: undefined }] = stack;
      if (stack.length === 3) this.#addRow(String(entity), key, value);
      else if (stack.length === 2) checkList(String(key), value);
      else this.#hasEntities = isRecord(value);
    };
  }

  take(): readonly ImportRow[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  /** @throws PylonError MISSING_FIELD */
  checkComplete(): void {
    if (this.#hasEntities) return;
    throw new PylonError("MISSING_FIELD", "Send the rows to import.", {
      field: "entities",
      hint: 'Send {"entities": {"Todo": [...]}}.',
    });
  }

  #addRow(entity: string, key: unknown, row: unknown): void {
    if (typeof key === "number") this.#rows.push({ line: key + 1, entity, row });
    else throw notAList(entity);
  }
}

function checkList(entity: string, value: unknown): void {
  if (!Array.isArray(value)) throw notAList(entity);
}

function notAList(entity: string): PylonError {
  return new PylonError("INVALID_DATA", `The rows of ${entity.slice(0, 80)} must be a list.`, {
    field: `entities.${entity.slice(0, 80)}`,
  });
}

/** @throws PylonError INVALID_JSON if the parser rejects the text */
function attempt(parse: () => void): void {
  try {
    parse();
  } catch (error) {
    if (error instanceof PylonError) throw error;
    throw new PylonError("INVALID_JSON", `The body is not valid JSON: ${errorText(error)}`, {
      hint: "Send the format of GET /api/export, as JSON or as NDJSON.",
    });
  }
}

function* rowOfLine(bytes: Uint8Array, line: number): Generator<ImportItem> {
  let value: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes).trim();
    if (text === "") return;
    new JsonScan().text(text);
    value = JSON.parse(text);
  } catch (error) {
    yield {
      line,
      error:
        error instanceof PylonError
          ? error
          : new PylonError("INVALID_JSON", "The line is not valid JSON in UTF-8."),
    };
    return;
  }
  if (isRecord(value) && typeof value["entity"] === "string" && Object.hasOwn(value, "row"))
    yield { line, entity: value["entity"], row: value["row"] };
  else
    yield {
      line,
      error: new PylonError("MISSING_ENTITY", "The line has no entity or no row.", {
        hint: 'Use lines of the form {"entity": "Todo", "row": {...}}.',
      }),
    };
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  return head.length === 0 ? tail : Buffer.concat([head, tail]);
}

/** @throws PylonError PAYLOAD_TOO_LARGE */
export function refuseLargeRow(bytes: number): void {
  if (bytes <= BODY_LIMITS.rows) return;
  throw new PylonError(
    "PAYLOAD_TOO_LARGE",
    `A row of an import may have at most ${BODY_LIMITS.rows / 1024 / 1024} MiB.`,
  );
}
