import type { FnDefinition } from "@pylonsync/functions";
import { isRecord } from "../util/is-record.ts";
import type { LooseWriter } from "./db.ts";

/** The maximum depth at which an object is searched for in the arguments. */
const MAX_DEPTH = 4;

/** Whether only the handler itself could prevent a caller from writing. */
export function isUnguarded({ auth = "public", middleware = [] }: FnDefinition): boolean {
  return auth === "public" && middleware.length === 0;
}

/**
 * Returns a mutation's context that warns, in dev mode, when an object from the caller is written
 * unchanged before the handler has read `ctx.auth`.
 *
 * @param warn called with the entity
 */
export function watchWholeArgs(
  context: Readonly<Record<string, unknown>>,
  db: LooseWriter,
  args: unknown,
  warn: (entity: string) => void,
): Record<string, unknown> {
  let hasAsked = false;
  const check = (entity: string, data: unknown): void => {
    if (!hasAsked && isRecord(data) && has(args, data, MAX_DEPTH)) warn(entity);
  };
  const watched: LooseWriter = {
    ...db,
    insert: (entity, data) => {
      check(entity, data);
      return db.insert(entity, data);
    },
    update: (entity, id, patch) => {
      check(entity, patch);
      return db.update(entity, id, patch);
    },
  };
  return Object.defineProperty({ ...context, db: watched }, "auth", {
    enumerable: true,
    configurable: true,
    get: () => {
      hasAsked = true;
      return context["auth"];
    },
  });
}

/** Whether this object is one of the arguments, or nested in one. */
function has(value: unknown, sought: object, depth: number): boolean {
  if (value === sought) return true;
  if (typeof value !== "object" || value === null || depth === 0) return false;
  return Object.values(value).some((inner) => has(inner, sought, depth - 1));
}
