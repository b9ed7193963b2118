import { MAX_PAGE_BYTES, PylonError } from "@pylonsync/protocol";
import { TRUE } from "@pylonsync/query";
import type { Platform } from "../platform.ts";
import type { RequestContext } from "../request/context.ts";
import { json, StreamAnswer, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { Entity } from "../schema/schema.ts";
import { isFull } from "../store/row-size.ts";
import type { Reader, StoredRow } from "../store/store.ts";
import { Importer, type ImportMode } from "./import-rows.ts";
import { csvLines } from "./csv-lines.ts";
import { rowsOfCsv } from "./csv-source.ts";
import { rowsOfBody, rowsOfLines, type ImportItem } from "./import-source.ts";
import { idAfter } from "./reads.ts";
import type { DataServices } from "./routes.ts";

const CHUNK = 1000;
/** The bytes of a body that are parsed at a time: some milliseconds of work. */
const PIECE_BYTES = 64 * 1024;
const NDJSON = "application/x-ndjson";
const CSV = "text/csv";

/** Exports and imports all rows, without holding all of them in memory on either side. */
export function transferRoutes(services: DataServices): Route[] {
  const exportRows = (context: RequestContext): Answer => {
    const one = context.params["entity"];
    const model = services.model();
    const entities = one === undefined ? model.schema.entities : [model.entity(one)];
    const reader = services.reader(context);
    if (context.request.headers.get("accept")?.includes(CSV) === true)
      return csvAnswer(context, reader, entities);
    return context.request.headers.get("accept")?.includes(NDJSON) === true
      ? new StreamAnswer(lines(reader, entities), NDJSON)
      : new StreamAnswer(document(reader, entities, services.platform.now()));
  };

  const importFrom = async (
    context: RequestContext,
    items: AsyncIterable<ImportItem>,
  ): Promise<Answer> => {
    const importer = new Importer(services.committer, context.caller, modeOf(context));
    try {
      await importer.run(items, () => context.confirm());
    } catch (error) {
      throw withReport(error, importer);
    }
    return json(importer.report);
  };

  const importRows = (context: RequestContext): Promise<Answer> => {
    const pieces = piecesOf(context.request, services.platform);
    return importFrom(
      context,
      isOfType(context, NDJSON) ? rowsOfLines(pieces) : rowsOfBody(pieces),
    );
  };

  const importCsv = (context: RequestContext): Promise<Answer> => {
    if (isOfType(context, "json"))
      throw new PylonError("INVALID_CSV", "The rows of one entity are imported as CSV.", {
        hint: "Send JSON to POST /api/import.",
      });
    const entity = services.model().entity(context.params["entity"] ?? "");
    const pieces = piecesOf(context.request, services.platform);
    return importFrom(context, rowsOfCsv(pieces, entity));
  };

  return [
    { method: "GET", path: "/api/export", access: "admin", handle: exportRows },
    { method: "GET", path: "/api/export/:entity", access: "admin", handle: exportRows },
    { method: "POST", path: "/api/import", body: "stream", access: "admin", handle: importRows },
    {
      method: "POST",
      path: "/api/import/:entity",
      body: "stream",
      access: "admin",
      handle: importCsv,
    },
  ];
}

function isOfType({ request }: RequestContext, type: string): boolean {
  return request.headers.get("content-type")?.includes(type) === true;
}

/** @throws PylonError INVALID_QUERY for more than one entity */
function csvAnswer(
  context: RequestContext,
  reader: Reader,
  entities: readonly Entity[],
): StreamAnswer {
  const [entity] = entities;
  if (entity === undefined || context.params["entity"] === undefined)
    throw new PylonError("INVALID_QUERY", "A CSV file has the rows of one entity.", {
      hint: "Request GET /api/export/Todo.",
    });
  const isForSpreadsheet = context.query("for") === "spreadsheet";
  const text = csvLines(entity, pagesOf(reader, entity), { isForSpreadsheet });
  return new StreamAnswer(text, `${CSV};charset=utf-8`);
}

/** @throws PylonError INVALID_QUERY */
function modeOf(context: RequestContext): ImportMode {
  const mode = context.query("mode") ?? "insert";
  if (mode === "insert" || mode === "upsert") return mode;
  throw new PylonError("INVALID_QUERY", '"mode" must be insert or upsert.', { field: "mode" });
}

/**
 * If a body breaks off, the rows before that point have been written, so the error contains the
 * report.
 */
function withReport(error: unknown, { report }: Importer): unknown {
  if (!(error instanceof PylonError)) return error;
  const { imported, updated, failed } = report;
  const hint = error.hint === undefined ? "" : ` ${error.hint}`;
  const written = imported + updated;
  const before =
    written + failed === 0
      ? "No row was written."
      : `Before it, ${counted(written)} written, and ${counted(failed)} rejected.`;
  return new PylonError(error.code, error.message, {
    ...(error.field === undefined ? {} : { field: error.field }),
    hint: `${before}${hint}`,
    extra: { imported, updated, failed },
  });
}

function counted(rows: number): string {
  return rows === 1 ? "1 row was" : `${rows} rows were`;
}

/**
 * Yields a body in pieces of up to PIECE_BYTES. Everything else gets a turn of the event loop
 * between two of them: a chunk of the body can have any size, and a piece may contain nothing to
 * write, for which the import would wait.
 */
async function* piecesOf(
  { body }: Request,
  { soon }: Pick<Platform, "soon">,
): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  try {
    for await (const chunk of body)
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        yield chunk.subarray(at, at + PIECE_BYTES);
        await new Promise<void>((resolve) => soon(resolve));
      }
  } catch {
    throw new PylonError("INVALID_DATA", "The request body was cut off.");
  }
}

/** Yields all rows of an entity, by id, page by page. */
async function* pagesOf(
  reader: Reader,
  { name: entity, sealing }: Entity,
): AsyncGenerator<StoredRow[]> {
  let last: string | null = null;
  for (;;) {
    const rows: StoredRow[] = await reader.select({
      entity,
      where: last === null ? TRUE : idAfter(last),
      limit: CHUNK,
      maxBytes: MAX_PAGE_BYTES,
    });
    if (rows.length > 0) yield rows.map(sealing.opened);
    last = rows.at(-1)?.id ?? null;
    if (rows.length < CHUNK && !isFull(rows, MAX_PAGE_BYTES)) return;
  }
}

async function* lines(reader: Reader, entities: readonly Entity[]): AsyncGenerator<string> {
  for (const one of entities) {
    const entity = one.name;
    for await (const rows of pagesOf(reader, one))
      yield rows.map((row) => `${JSON.stringify({ entity, row })}\n`).join("");
  }
}

/** `{"exported_at", "entities": {"Todo": [...]}, "counts": {"Todo": 2}}`. */
async function* document(
  reader: Reader,
  entities: readonly Entity[],
  now: number,
): AsyncGenerator<string> {
  const counts: Record<string, number> = {};
  yield `{"exported_at":${JSON.stringify(new Date(now).toISOString())},"entities":{`;
  for (const [index, entity] of entities.entries()) {
    yield `${index === 0 ? "" : ","}${JSON.stringify(entity.name)}:[`;
    let count = 0;
    for await (const rows of pagesOf(reader, entity)) {
      yield (count === 0 ? "" : ",") + JSON.stringify(rows).slice(1, -1);
      count += rows.length;
    }
    counts[entity.name] = count;
    yield "]";
  }
  yield `},"counts":${JSON.stringify(counts)}}`;
}
