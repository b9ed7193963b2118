import { MAX_DOCUMENT_UPDATE_BYTES, PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { readerShare } from "../request/reading.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { isRecord } from "../util/is-record.ts";
import { frameOf } from "./document-store.ts";
import type { Documents, DocumentVersion } from "./documents.ts";

const HINT = 'Send {"update": "<hex>"} to /api/crdt/ENTITY/ROWID.';

/** Documents over HTTP: updates, and reading where sockets do not work. */
export function documentRoutes(documents: Pick<Documents, "entity" | "read" | "push">): Route[] {
  const read = async (context: RequestContext): Promise<Answer> => {
    const { caller } = context;
    const [name, rowId] = [context.param("entity"), context.param("id")];
    const entity = documents.entity(name);
    const known = versionOf(context.query("after"));
    const found = await documents.read(caller, readerShare(context), entity, rowId, known);
    const frames = found.parts.map((part) => frameOf(part, name, rowId).toHex());
    return json({ after: `${found.id}.${found.version}`, frames });
  };
  const push = async (context: RequestContext): Promise<Answer> => {
    const body = await context.json();
    const update = bytesOf(body);
    const { caller } = context;
    const [entity, rowId] = [context.param("entity"), context.param("id")];
    await documents.push(caller, readerShare(context), {
      entity,
      rowId,
      update,
      length: lengthOf(body),
    });
    return json({ ok: true });
  };
  const common = { method: "POST", access: "signed-in", scope: "write" } as const;
  const malformed = (): Answer => {
    throw new PylonError("BAD_PATH", "The path must name an entity and a row.", { hint: HINT });
  };
  return [
    {
      method: "GET",
      path: "/api/crdt/:entity/:id",
      access: "anyone",
      scope: "read",
      isLimitedByUser: true,
      handle: read,
    },
    {
      ...common,
      path: "/api/crdt/:entity/:id",
      body: "rows",
      mayNameAuthor: true,
      isLimitedByUser: true,
      handle: push,
    },
    { ...common, path: "/api/crdt", body: "none", handle: malformed },
    { ...common, path: "/api/crdt/:entity", body: "none", handle: malformed },
  ];
}

/** @throws PylonError MISSING_UPDATE, INVALID_HEX, PAYLOAD_TOO_LARGE */
function bytesOf(body: unknown): Uint8Array {
  const hex = isRecord(body) ? body["update"] : undefined;
  if (typeof hex !== "string")
    throw new PylonError("MISSING_UPDATE", "The body has no update.", {
      field: "update",
      hint: HINT,
    });
  if (hex.length > 2 * MAX_DOCUMENT_UPDATE_BYTES)
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `An update may have at most ${MAX_DOCUMENT_UPDATE_BYTES} bytes.`,
      { field: "update", hint: "Send the edits in several updates." },
    );
  try {
    return Uint8Array.fromHex(hex);
  } catch {
    throw new PylonError("INVALID_HEX", "The update is not hex.", { field: "update", hint: HINT });
  }
}

function lengthOf(body: unknown): number | null {
  const length = isRecord(body) ? body["length"] : undefined;
  return typeof length === "number" ? length : null;
}

/** A version as clients send it: what the previous response contained. */
function versionOf(after: string | null): DocumentVersion | null {
  const [, id, version] = /^(\w+)\.(\d{1,15})$/.exec(after ?? "") ?? [];
  return id === undefined ? null : { id, version: Number(version) };
}
