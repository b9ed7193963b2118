import { BODY_LIMITS, PylonError } from "@pylonsync/protocol";
import { nearest } from "@pylonsync/query";
import { JsonScan } from "../request/json-scan.ts";
import type { Entity, Field } from "../schema/schema.ts";
import { refuseLargeRow, type ImportItem } from "./import-source.ts";

/** A cell's text. Null: it is empty and has no quotes. */
type Cell = string | null;

/** The columns of a file, in order: `id`, or a field. */
type Columns = readonly (Field | "id")[];

/**
 * The values that a line may have beyond the number of columns and still be rejected on its own: a
 * line of empty values needs much more memory than its text.
 */
const MAX_EXTRA_VALUES = 1000;
const DELIMITERS = [",", ";", "\t"];
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const BOOLS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/**
 * Yields the rows of a CSV file of any size one by one: RFC 4180, with a header that names the
 * fields, separated by commas, semicolons or tabs. `line` is the line in the file at which a row
 * begins, of which a quoted text may have several.
 *
 * @throws PylonError INVALID_CSV, INVALID_COLUMN for the header, PAYLOAD_TOO_LARGE for a row of
 *   more than BODY_LIMITS.rows
 */
export async function* rowsOfCsv(
  chunks: AsyncIterable<Uint8Array>,
  entity: Entity,
): AsyncGenerator<ImportItem> {
  let line = 1;
  let columns: Columns | null = null;
  try {
    const maxValues = entity.fields.size + entity.oldFields.size + MAX_EXTRA_VALUES;
    for await (const cells of recordsOf(textsOf(chunks), maxValues)) {
      if (!isBlank(cells)) {
        if (columns === null) columns = columnsOf(entity, cells);
        else yield itemOf(entity, columns, cells, line);
      }
      line += 1 + cells.reduce((sum, cell) => sum + lineBreaks(cell), 0);
    }
  } catch (error) {
    throw errorAt(error, line);
  }
  if (columns === null)
    throw new PylonError("INVALID_CSV", "The file is empty.", {
      hint: `Name the fields of ${entity.name} in the first line, separated by commas.`,
    });
}

/** Decodes UTF-8, without the byte order mark at its beginning. */
async function* textsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decoded = (chunk?: Uint8Array): string => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch {
      throw new PylonError("INVALID_CSV", "The file is not encoded in UTF-8.", {
        hint: 'Save it in UTF-8; spreadsheets call the format "CSV UTF-8".',
      });
    }
  };
  for await (const chunk of chunks) yield decoded(chunk);
  yield decoded();
}

/**
 * Yields the records of a text, also those before a mistake.
 *
 * @throws the parser's error
 */
async function* recordsOf(
  texts: AsyncGenerator<string>,
  maxValues: number,
): AsyncGenerator<readonly Cell[]> {
  // Loaded here because only an import needs it.
  const { parse } = await import("csv-parse");
  const head = await headOf(texts);
  let found: (readonly Cell[])[] = [];
  const parser = parse({
    cast: (text, { quoting, index }) => {
      if (index >= maxValues) throw new TooManyValuesError();
      return text === "" && !quoting ? null : text;
    },
    delimiter: delimiterOf(head),
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    max_record_size: BODY_LIMITS.rows,
    // As a stream, the parser would drop the records that are not read yet when it fails.
    on_record: (cells: readonly Cell[]) => {
      found.push(cells);
      // The first record sets the number of values. For each record with another number the parser
      // would make an error with a copy of the record, which costs as much as dozens of rows.
      Object.assign(parser.info, { records: 0 });
      return null;
    },
  });
  // Reported by `write` and `end` too.
  parser.on("error", () => undefined);
  const records = async function* (
    send: (done: (error?: Error | null) => void) => void,
  ): AsyncGenerator<readonly Cell[]> {
    const error = await new Promise<Error | null | undefined>((resolve) => send(resolve));
    const complete = found;
    found = [];
    yield* complete;
    if (error instanceof Error) throw error;
  };
  yield* records((done) => parser.write(head, done));
  for await (const text of texts) yield* records((done) => parser.write(text, done));
  yield* records((done) => parser.end(done));
}

/** Returns the beginning of a file, with at least its first line. */
async function headOf(texts: AsyncGenerator<string>): Promise<string> {
  let head = "";
  for (;;) {
    const next = await texts.next();
    if (next.done === true) return head;
    head += next.value;
    refuseLargeRow(head.length);
    if (/[\r\n]/.test(next.value)) return head;
  }
}

/** Names of fields contain no delimiter, so the first one in the header is that of the file. */
function delimiterOf(head: string): string {
  const [header = ""] = head.split(/[\r\n]/);
  return Array.from(header).find((letter) => DELIMITERS.includes(letter)) ?? ",";
}

/** @throws PylonError INVALID_COLUMN, INVALID_CSV */
function columnsOf(entity: Entity, header: readonly Cell[]): Columns {
  const columns = header.map((cell, index) => {
    const name = cell?.trim() ?? "";
    const field = name === "id" ? name : (entity.fields.get(name) ?? entity.oldFields.get(name));
    if (field !== undefined) return field;
    const known = ["id", ...entity.fields.keys()];
    const close = nearest(name, known);
    throw new PylonError(
      "INVALID_COLUMN",
      `Line 1, column ${index + 1}: ${entity.name} has no field "${name.slice(0, 80)}".`,
      {
        field: name.slice(0, 80),
        hint: close === undefined ? `Its fields: ${known.join(", ")}.` : `Did you mean "${close}"?`,
      },
    );
  });
  const twice = columns.findIndex((column, index) => columns.indexOf(column) !== index);
  if (twice === -1) return columns;
  const name = String(header[twice]).slice(0, 80);
  throw new PylonError("INVALID_CSV", `Line 1, column ${twice + 1} names "${name}" again.`, {
    field: name,
    hint: "Name each field once.",
  });
}

/** A row with the values of its cells; the checks of all writes follow when it is written. */
function itemOf(
  { name: entity }: Entity,
  columns: Columns,
  cells: readonly Cell[],
  line: number,
): ImportItem {
  const row: Record<string, unknown> = {};
  const places = new Map<string, number>();
  if (cells.length !== columns.length) {
    const [has, wanted] = [counted(cells.length, "value"), counted(columns.length, "column")];
    return {
      line,
      entity,
      error: new PylonError("INVALID_CSV", `The line has ${has}, but the header has ${wanted}.`, {
        hint: "Quote texts that contain the separator.",
      }),
    };
  }
  for (const [index, column] of columns.entries()) {
    const cell = cells[index] ?? null;
    const name = column === "id" ? column : column.name;
    places.set(name, index + 1);
    try {
      const value = column === "id" ? (cell ?? undefined) : valueOf(entity, column, cell);
      if (value !== undefined) row[name] = value;
    } catch (error) {
      if (!(error instanceof PylonError)) throw error;
      return { line, entity, column: index + 1, error };
    }
  }
  return { line, entity, row, columns: places };
}

/**
 * Converts a cell to a value of the field. A text that is none remains a text, which the validation
 * of the row rejects.
 *
 * @returns undefined if the row has no value for the field
 * @throws PylonError INVALID_DATA
 */
function valueOf(entity: string, field: Field, cell: Cell): unknown {
  const isText = TEXTS.has(field.kind);
  if (cell === null || (cell === "" && !isText)) return valueOfEmpty(field, isText);
  if (isText) return cell;
  const text = cell.trim();
  switch (field.kind) {
    case "int":
    case "float":
      return NUMBER.test(text) ? Number(text) : text;
    case "bool":
      return BOOLS.get(text.toLowerCase()) ?? text;
    case "json":
    case "array":
      return jsonOf(entity, field, text);
    default:
      return text;
  }
}

const TEXTS: ReadonlySet<string> = new Set(["string", "richtext", "encrypted"]);

function valueOfEmpty(field: Field, isText: boolean): "" | null | undefined {
  if (field.optional) return null;
  const hasDefault =
    field.default !== undefined ||
    field.defaultsToNow ||
    field.defaultsToUuid ||
    field.makeDefault !== undefined;
  return isText && !hasDefault && !field.owner ? "" : undefined;
}

function jsonOf(entity: string, { name, kind }: Field, text: string): unknown {
  try {
    new JsonScan().text(text);
    return JSON.parse(text) as unknown;
  } catch {
    throw new PylonError("INVALID_DATA", `${entity}.${name} is not valid JSON.`, {
      field: name,
      hint: kind === "array" ? 'Write a list as in JSON: ["a", "b"].' : "Write the value as JSON.",
    });
  }
}

/** A line without any text, with which files often end. */
function isBlank(cells: readonly Cell[]): boolean {
  return cells.length === 1 && cells[0] === null;
}

function lineBreaks(cell: Cell): number {
  return cell?.match(/\r\n|\n|\r/g)?.length ?? 0;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The mistakes of a file that the parser finds, in words for its writer. */
const MISTAKES: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "has a quoted text that does not end",
  CSV_INVALID_CLOSING_QUOTE: "continues after the end of a quoted text",
  INVALID_OPENING_QUOTE: "has a quote inside of a text that is not quoted",
};

class TooManyValuesError extends Error {}

/** The parser's errors have a code and the index of the column. */
function errorAt(error: unknown, line: number): unknown {
  if (error instanceof TooManyValuesError)
    return new PylonError(
      "INVALID_CSV",
      `Line ${line} has far more values than there are fields.`,
      {
        hint: "Quote texts that contain the separator.",
      },
    );
  if (!(error instanceof Error) || !("code" in error)) return error;
  if (error.code === "CSV_MAX_RECORD_SIZE") {
    const limit = `${BODY_LIMITS.rows / 1024 / 1024} MiB`;
    return new PylonError("PAYLOAD_TOO_LARGE", `Line ${line} has more than ${limit}.`, {
      hint: "Check that each quoted text ends with a quote.",
    });
  }
  const mistake = MISTAKES[String(error.code)];
  if (mistake === undefined) return error;
  const column = "column" in error && typeof error.column === "number" ? error.column + 1 : 1;
  return new PylonError("INVALID_CSV", `Line ${line}, column ${column} ${mistake}.`, {
    hint: 'Enclose a text with quotes in quotes, and write each of its own twice: "a ""b"" c".',
  });
}
