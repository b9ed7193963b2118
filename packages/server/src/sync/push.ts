import {
  ClientChangeSchema,
  MAX_PUSH_CHANGES,
  PylonError,
  PushRequestSchema,
  type ClientChange,
  type PushResponse,
  type PushResult,
} from "@pylonsync/protocol";
import * as v from "valibot";
import type { Caller } from "../identity/identity.ts";
import type { CommitOptions } from "../data/commit.ts";
import { hasIdentity } from "../data/idempotency.ts";
import type { DataModel } from "../data/model.ts";
import { Reads } from "../data/reads.ts";
import type { DataServices } from "../data/routes.ts";
import type { Writer } from "../data/writer.ts";
import { requireAuthor } from "../request/author.ts";
import { toPublicError } from "../request/responses.ts";
import { operatorsOf } from "../schema/field-operators.ts";
import { withCurrentNames } from "../schema/old-names.ts";
import { malformed } from "../schema/malformed.ts";
import { checkedId, splitId } from "../schema/row-input.ts";
import type { Reader } from "../store/store.ts";
import { chunk } from "../util/chunk.ts";
import { isRecord } from "../util/is-record.ts";

const PUSH_HINT =
  'Send {"changes": [{"entity": "Todo", "row_id": "...", "kind": "insert", "data": {...}}]}; ' +
  "kind must be insert, update or delete.";
/** The number of changes per transaction: a long one conflicts with others. */
const CHUNK = 100;

/** A push whose changes were parsed individually. */
export interface ParsedPush {
  readonly changes: readonly (ClientChange | MalformedChange)[];
  /** Whether the client supports a result for each change. */
  readonly results: boolean;
  /** The user who made the changes, if the client names one; null is an anonymous user. */
  readonly userId: string | null | undefined;
}

/** A change that can't be applied as it was sent. */
interface MalformedChange {
  readonly op_id: string | undefined;
  readonly refusal: PylonError;
}

/** The push of a client that takes results, with its unparsed changes. */
const EnvelopeSchema = v.object({
  ...PushRequestSchema.entries,
  changes: v.pipe(v.array(v.unknown()), v.maxLength(MAX_PUSH_CHANGES)),
});

/**
 * Parses a push. If the client supports a result for each change, only the malformed changes are
 * rejected: otherwise it would send the others with them again and again.
 *
 * @throws PylonError INVALID_DATA naming the first invalid key
 */
export function parsePush(body: unknown): ParsedPush {
  const taken = withoutSurplus(body);
  const envelope = v.safeParse(EnvelopeSchema, taken);
  if (!envelope.success) throw malformedPush(envelope.issues[0]);
  const { user_id: userId } = envelope.output;
  if (envelope.output.results === true)
    return { results: true, userId, changes: envelope.output.changes.map(parseChange) };
  const whole = v.safeParse(PushRequestSchema, taken);
  if (!whole.success) throw malformedPush(whole.issues[0]);
  return { results: false, userId, changes: whole.output.changes };
}

/**
 * Returns the push with only its first changes, if an older client sent more than a request may
 * have: it sends everything that is pending in one request, and would repeat a rejected one for
 * ever. Changes without a result stay pending there, and come with its next push.
 */
function withoutSurplus(body: unknown): unknown {
  if (!isRecord(body) || body["results"] === true) return body;
  const { changes } = body;
  return Array.isArray(changes) && changes.length > MAX_PUSH_CHANGES
    ? { ...body, changes: changes.slice(0, MAX_PUSH_CHANGES) }
    : body;
}

function parseChange(change: unknown): ClientChange | MalformedChange {
  const parsed = v.safeParse(ClientChangeSchema, change);
  if (parsed.success) return parsed.output;
  const named = v.safeParse(v.object({ op_id: ClientChangeSchema.entries.op_id }), change);
  return {
    op_id: named.success ? named.output.op_id : undefined,
    refusal: malformedPush(parsed.issues[0], "change"),
  };
}

function malformedPush(issue: v.BaseIssue<unknown>, what: "push" | "change" = "push"): PylonError {
  const { field, message } = malformed(issue);
  return new PylonError("INVALID_DATA", `The ${what} is malformed: ${message}.`, {
    ...(field === "" && what === "change" ? {} : { field: field === "" ? "changes" : field }),
    hint: PUSH_HINT,
  });
}

/** The services that a push uses. */
interface PushServices extends Omit<DataServices, "reader"> {
  /** Reads on behalf of the client. */
  readonly reader: Reader;
}

/**
 * Applies a client's changes under its policies, in order, many per transaction. A rejected change
 * has no effects. A change with an `op_id` that was already applied is not applied again.
 *
 * @param onResult called with the result of each change
 * @throws PylonError UNAUTHORIZED if another user made the changes
 * @throws an error of the server; the client retries, and the changes that were applied before are
 *   recognized by their op_id
 */
export async function push(
  request: ParsedPush,
  caller: Caller,
  services: PushServices,
  onResult: (status: PushResult["status"]) => void,
): Promise<PushResponse> {
  requireAuthor(caller, request.userId, "The changes were made");
  const results: PushResult[] = [];
  // An older client matches results by position, so it receives none after the first rejection.
  const groups = request.results
    ? chunk(request.changes, CHUNK)
    : request.changes.map((change) => [change]);
  for (const group of groups) {
    const done = await applyGroup(group, caller, services);
    for (const { status } of done) onResult(status);
    results.push(...done);
    if (!request.results && results.at(-1)?.status === "refused") break;
  }
  const errors = results.flatMap((result, index) =>
    result.error === undefined ? [] : [describe(request.changes[index], result.error.message)],
  );
  const { head } = await services.store.bounds();
  return {
    applied: results.length - errors.length,
    deduped: results.filter(({ status }) => status === "deduped").length,
    errors,
    cursor: { last_seq: head },
    ...(request.results ? { results } : {}),
  };
}

async function applyGroup(
  group: ParsedPush["changes"],
  caller: Caller,
  services: PushServices,
): Promise<PushResult[]> {
  const changes = group.filter((change): change is ClientChange => !("refusal" in change));
  const applied = await applyChanges(changes, caller, services);
  const byChange = new Map(changes.map((change, index) => [change, applied[index]]));
  return group.map((change): PushResult => {
    if ("refusal" in change)
      return { ...nameOf(change), status: "refused", error: refusalOf(change.refusal) };
    const result = byChange.get(change);
    if (result === undefined) throw new Error("A change has no result.");
    return result;
  });
}

function nameOf({ op_id: id }: { readonly op_id?: string | undefined }): Pick<PushResult, "op_id"> {
  return id === undefined ? {} : { op_id: id };
}

async function applyChanges(
  changes: readonly ClientChange[],
  caller: Caller,
  services: PushServices,
): Promise<PushResult[]> {
  if (changes.length === 0) return [];
  const outcomes = await services.committer.commitEach(
    changes.map((change) => ({
      options: {
        caller,
        writesOnly: [change.entity],
        op: operationOf(change),
      },
      work: (writer: Writer) => {
        refuseRepeatable(change, caller, services.model());
        return write(writer, change);
      },
    })),
  );
  return Promise.all(
    changes.map(async (change, index): Promise<PushResult> => {
      const outcome = outcomes[index];
      const named = nameOf(change);
      if (outcome === undefined) throw new Error("A change has no outcome.");
      if ("committed" in outcome) {
        const { result, replayed } = outcome.committed;
        return { ...named, status: replayed ? "deduped" : "applied", id: result };
      }
      const error = refusalOf(outcome.error);
      return error.code === "ID_TAKEN" && (await isRepeatedInsert(change, caller, services))
        ? { ...named, status: "deduped", id: change.row_id }
        : { ...named, status: "refused", error };
    }),
  );
}

/**
 * Whether an anonymous caller, whose op_ids are not stored, repeats an insert whose response was
 * lost: the row exists with the sent values, and the caller may read it.
 */
async function isRepeatedInsert(
  { op_id: opId, entity, row_id: id, data }: ClientChange,
  caller: Caller,
  { reader, model, platform }: PushServices,
): Promise<boolean> {
  if (opId === undefined || hasIdentity(caller)) return false;
  const reads = new Reads(reader, model(), {
    caller,
    policies: "enforced",
    now: platform.now(),
    monotonic: platform.monotonic,
  });
  const row = await reads.get(entity, id);
  return (
    row !== null &&
    Object.entries(data ?? {}).every(([name, value]) => row[name] === (value ?? null))
  );
}

function operationOf({ op_id: id, ...request }: ClientChange): CommitOptions["op"] {
  if (id === undefined) return undefined;
  // Which row an upsert changes is known afterwards.
  const answer = request.upsert === undefined ? { answer: request.row_id } : {};
  return { id, purpose: "push", request, field: "op_id", ...answer };
}

/**
 * Rejects changes that must not be applied twice. The op_ids of anonymous callers are not stored,
 * so a change whose response was lost is applied again: a value may be set twice, but not be
 * incremented twice.
 */
function refuseRepeatable(
  { op_id: id, entity: name, data, upsert: { update } = { by: [] } }: ClientChange,
  caller: Caller,
  model: DataModel,
): void {
  const entity = model.schema.find(name);
  if (id === undefined || entity === undefined || hasIdentity(caller)) return;
  const [operator] = [data, update].flatMap((patch) => [
    ...operatorsOf(entity, withCurrentNames(entity, patch)),
  ]);
  if (operator === undefined) return;
  throw new PylonError(
    "AUTH_REQUIRED",
    "You are not signed in, so this change could be applied twice.",
    {
      field: operator[0],
      hint: "Sign in, at least as a guest, before you push $increment or $append.",
    },
  );
}

function refusalOf(error: unknown): NonNullable<PushResult["error"]> {
  const refusal = toPublicError(error);
  if (refusal === undefined || refusal.status >= 500) throw refusal ?? error;
  const { code, message, hint, field } = refusal;
  return {
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(field === undefined ? {} : { field }),
  };
}

function describe(change: ParsedPush["changes"][number] | undefined, message: string): string {
  if (change === undefined || "refusal" in change) return message;
  const row = change.kind === "insert" ? "" : `/${change.row_id}`;
  return `${change.kind} ${change.entity}${row}: ${message}`;
}

/** @returns the id of the row with the key, which the client may not know */
async function upsert(
  writer: Writer,
  { entity, kind, row_id: rowId, data }: ClientChange,
  { by, data: row = data ?? {}, update }: NonNullable<ClientChange["upsert"]>,
): Promise<string> {
  // A client that shows the change as an insert has chosen the id of the new row.
  const whole = kind === "insert" ? { ...row, id: rowId } : row;
  const patch = update === undefined ? {} : { update };
  return (await writer.upsert(entity, { by, data: whole, ...patch })).id;
}

/** @returns the row's id */
async function write(writer: Writer, change: ClientChange): Promise<string> {
  checkedId(change.row_id, "row_id");
  const conditions = { ifUnchanged: change.if_unchanged ?? change.ifUnchanged };
  if (change.upsert !== undefined) {
    if (change.kind !== "delete" && conditions.ifUnchanged === undefined)
      return upsert(writer, change, change.upsert);
    throw new PylonError("INVALID_DATA", "An upsert is neither a delete nor conditional.", {
      field: "upsert",
      hint: 'Use the kind "insert" or "update", without if_unchanged.',
    });
  }
  if (change.kind === "delete") {
    // If the row was already deleted, the client's intent is fulfilled.
    await writer.delete(change.entity, change.row_id, conditions);
    return change.row_id;
  }
  if (change.kind === "insert") {
    if (conditions.ifUnchanged !== undefined)
      throw new PylonError("INVALID_DATA", "An insert has no existing row to compare.", {
        field: "if_unchanged",
        hint: "Omit the field.",
      });
    const { fields } = splitId(change.data ?? {});
    return writer.insert(change.entity, fields, change.row_id);
  }
  const patch = change.data ?? {};
  if (await writer.update(change.entity, change.row_id, patch, conditions)) return change.row_id;
  throw new PylonError(
    "NOT_FOUND",
    `No ${change.entity} has the id "${change.row_id.slice(0, 80)}".`,
    { hint: "It was deleted, or you may not read it." },
  );
}
