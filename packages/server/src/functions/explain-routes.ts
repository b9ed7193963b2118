import { isRowId, PylonError } from "@pylonsync/protocol";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import type { RequestContext } from "../request/context.ts";
import type { RequestReader } from "../request/reading.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { routeTable } from "../request/route-table.ts";
import { isRecord } from "../util/is-record.ts";
import { actingCaller } from "./acting-caller.ts";
import { Explainer, type ExplainServices } from "./explain.ts";
import { withClaims } from "./user-claims.ts";

/** The services of the route. */
export type ExplainRouteServices = Omit<ExplainServices, "reader"> & {
  readonly reader: RequestReader;
};

/**
 * `POST /api/admin/explain`: explains who may access an entity, why, and how its rows are found.
 */
export function explainRoutes(services: ExplainRouteServices): Route[] {
  return [routeTable(services).post("/api/admin/explain", "admin", explain)];
}

async function explain(services: ExplainRouteServices, context: RequestContext): Promise<Answer> {
  const body = await context.json();
  const { entity, as = null, id = null, ...others } = isRecord(body) ? body : {};
  const [other] = Object.keys(others);
  if (other !== undefined) throw refusal(other.slice(0, 80), "Send entity, as and id.");
  if (typeof entity !== "string") throw refusal("entity", "Use the name of an entity.");
  if (id !== null && !isRowId(id)) throw refusal("id", "Use the id of a row.");
  const reader = services.reader(context);
  const caller = await withClaims(reader, callerOf(as));
  return json({ ...(await new Explainer({ ...services, reader }).explain(entity, caller, id)) });
}

/** @param as a user's id, an identity such as `ctx.auth`, or null for an anonymous caller */
function callerOf(as: unknown): Caller {
  try {
    return as === null ? ANONYMOUS : actingCaller(as);
  } catch (error) {
    if (!(error instanceof PylonError)) throw error;
    throw refusal("as", "Use a user's id, or {userId, tenantId, roles, claims, isAdmin}.");
  }
}

function refusal(field: string, hint: string): PylonError {
  return new PylonError("INVALID_DATA", `The field "${field}" is not valid.`, { field, hint });
}
