import { MAX_PUSH_CHANGES, PylonError } from "@pylonsync/protocol";
import { isRecord } from "../util/is-record.ts";

/** The id of the row that an earlier operation of the same request wrote: `{$ref: "room.id"}`. */
export interface OperationRef {
  readonly $ref: string;
}

/** One write of a batch or a transaction, as sent. */
export interface Operation {
  readonly op: "insert" | "update" | "delete" | "upsert";
  readonly entity: string;
  /** The name by which later operations refer to its row. */
  readonly as?: string | undefined;
  readonly id?: string | OperationRef | undefined;
  readonly data?: unknown;
  /** For an update or a delete: fields with the values that they must still have. */
  readonly ifUnchanged?: unknown;
  /** For an upsert: the key of the row. */
  readonly by?: unknown;
  /** For an upsert: the patch for an existing row. */
  readonly update?: unknown;
}

/** The keys that apply to each operation, in addition to those that apply to all. */
const OWN_KEYS: Readonly<Record<Operation["op"], readonly (keyof Operation)[]>> = {
  insert: [],
  update: ["ifUnchanged"],
  delete: ["ifUnchanged"],
  upsert: ["by", "update"],
};
const SPECIAL_KEYS = ["ifUnchanged", "by", "update"] as const;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Reads the list of operations of a request.
 *
 * @throws PylonError MISSING_OPERATIONS, MISSING_ENTITY, INVALID_DATA, INVALID_ID with the `field`
 */
export function parseOperations(value: unknown): Operation[] {
  if (!Array.isArray(value))
    throw new PylonError("MISSING_OPERATIONS", "The operations are missing or not a list.", {
      field: "operations",
    });
  if (value.length > MAX_PUSH_CHANGES)
    throw new PylonError(
      "INVALID_DATA",
      `A request may have at most ${MAX_PUSH_CHANGES} operations.`,
      {
        field: "operations",
      },
    );
  const names = new Set<string>();
  return value.map((item: unknown, index) =>
    parseOperation(isRecord(item) ? item : {}, `operations[${index}]`, names),
  );
}

/** @param names the names of the previous operations, to which the name of this one is added */
function parseOperation(
  { op, entity, id, data, ...rest }: Record<string, unknown>,
  at: string,
  names: Set<string>,
): Operation {
  if (op !== "insert" && op !== "update" && op !== "delete" && op !== "upsert")
    throw new PylonError("INVALID_DATA", '"op" must be insert, update, delete or upsert.', {
      field: `${at}.op`,
    });
  if (typeof entity !== "string")
    throw new PylonError("MISSING_ENTITY", "The operation has no entity.", {
      field: `${at}.entity`,
    });
  if (id !== undefined && typeof id !== "string" && !isRef(id))
    throw new PylonError(
      "INVALID_ID",
      "An id must be a string or a reference to an earlier operation.",
      {
        field: `${at}.id`,
        hint: 'Send "id": {"$ref": "name.id"} for the row of the operation with "as": "name".',
      },
    );
  const special: Partial<Record<(typeof SPECIAL_KEYS)[number], unknown>> = {};
  for (const key of SPECIAL_KEYS) {
    if (rest[key] === undefined) continue;
    if (!OWN_KEYS[op].includes(key))
      throw new PylonError("INVALID_DATA", `"${key}" is not allowed for the op "${op}".`, {
        field: `${at}.${key}`,
        hint: "Remove it.",
      });
    special[key] = rest[key];
  }
  return { op, entity, id, data, ...parseName(rest["as"], at, names), ...special };
}

function parseName(name: unknown, at: string, names: Set<string>): Pick<Operation, "as"> {
  if (name === undefined) return {};
  if (typeof name !== "string" || !NAME.test(name))
    throw new PylonError(
      "INVALID_DATA",
      "The name of an operation must have 1 to 64 characters of A-Z a-z 0-9 _ -.",
      {
        field: `${at}.as`,
      },
    );
  if (names.has(name))
    throw new PylonError("INVALID_DATA", `Two operations are named "${name}".`, {
      field: `${at}.as`,
    });
  names.add(name);
  return { as: name };
}

/** Whether a value is a reference to the id of an earlier operation's row. */
export function isRef(value: unknown): value is OperationRef {
  return isRecord(value) && typeof value["$ref"] === "string" && Object.keys(value).length === 1;
}
