import { PylonError } from "@pylonsync/protocol";
import { TRUE } from "@pylonsync/query";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { StoredRow } from "../store/store.ts";
import { Importer, type ImportMode } from "./import-rows.ts";
import { rowsOfJson, rowsOfLines } from "./import-source.ts";
import { idAfter } from "./reads.ts";
import type { DataServices } from "./routes.ts";

const CHUNK = 1000;
const NDJSON = "application/x-ndjson";

/** All rows out, and in again: neither end holds them all in memory. */
export function transferRoutes(services: DataServices): Route[] {
  const exportRows = async (context: RequestContext): Promise<Answer> => {
    const one = context.params["entity"];
    const names =
      one === undefined
        ? services.model().schema.entities.map(({ name }) => name)
        : [services.model().entity(one).name];
    return context.request.headers.get("accept")?.includes(NDJSON) === true
      ? streamed(NDJSON, lines(services, names))
      : streamed("application/json; charset=utf-8", document(services, names));
  };

  const importRows = async (context: RequestContext): Promise<Answer> => {
    const importer = new Importer(services.committer, context.caller, modeOf(context));
    const isLines = context.request.headers.get("content-type")?.includes(NDJSON) === true;
    const chunks = chunksOf(context.request);
    try {
      await importer.run(isLines ? rowsOfLines(chunks) : rowsOfJson(chunks), () =>
        context.confirm(),
      );
    } catch (error) {
      throw withReport(error, importer);
    }
    return json(importer.report);
  };

  return [
    { method: "GET", path: "/api/export", access: "admin", handle: exportRows },
    { method: "GET", path: "/api/export/:entity", access: "admin", handle: exportRows },
    { method: "POST", path: "/api/import", access: "admin", handle: importRows },
  ];
}

/** @throws PylonError INVALID_QUERY */
function modeOf(context: RequestContext): ImportMode {
  const mode = context.query("mode") ?? "insert";
  if (mode === "insert" || mode === "upsert") return mode;
  throw new PylonError("INVALID_QUERY", '"mode" is insert or upsert.', { field: "mode" });
}

/** A body that breaks off has said what it has said: the rows before it are written. */
function withReport(error: unknown, { report }: Importer): unknown {
  if (!(error instanceof PylonError)) return error;
  const { imported, updated, failed } = report;
  return new PylonError(error.code, error.message, {
    ...(error.field === undefined ? {} : { field: error.field }),
    hint: `${imported + updated} rows before it were written, and ${failed} were refused.${error.hint === undefined ? "" : ` ${error.hint}`}`,
    extra: { imported, updated, failed },
  });
}

async function* chunksOf({ body }: Request): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  try {
    for await (const chunk of body) yield chunk;
  } catch {
    throw new PylonError("INVALID_DATA", "The body was cut off.");
  }
}

/** All rows of an entity, by id. */
async function* allRows(services: DataServices, entity: string): AsyncGenerator<StoredRow> {
  let last: string | null = null;
  for (;;) {
    const rows: StoredRow[] = await services.store.select({
      entity,
      where: last === null ? TRUE : idAfter(last),
      limit: CHUNK,
    });
    yield* rows;
    last = rows.at(-1)?.id ?? null;
    if (rows.length < CHUNK) return;
  }
}

async function* lines(services: DataServices, names: readonly string[]): AsyncGenerator<string> {
  for (const entity of names) {
    for await (const row of allRows(services, entity)) yield `${JSON.stringify({ entity, row })}\n`;
  }
}

/** `{"exported_at", "entities": {"Todo": [...]}, "counts": {"Todo": 2}}`. */
async function* document(services: DataServices, names: readonly string[]): AsyncGenerator<string> {
  const counts: Record<string, number> = {};
  yield `{"exported_at":${JSON.stringify(new Date(services.platform.now()).toISOString())},"entities":{`;
  for (const [index, entity] of names.entries()) {
    yield `${index === 0 ? "" : ","}${JSON.stringify(entity)}:[`;
    let count = 0;
    for await (const row of allRows(services, entity)) {
      yield `${count === 0 ? "" : ","}${JSON.stringify(row)}`;
      count += 1;
    }
    counts[entity] = count;
    yield "]";
  }
  yield `},"counts":${JSON.stringify(counts)}}`;
}

function streamed(type: string, texts: AsyncGenerator<string>): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await texts.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await texts.return(undefined);
    },
  });
  return new Response(body, { headers: { "Content-Type": type } });
}
