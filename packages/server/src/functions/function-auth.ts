import { PylonError } from "@pylonsync/protocol";
import { bind, FALSE, type Values } from "@pylonsync/query";
import type { FnDefinition } from "@pylonsync/functions";
import type { Caller } from "../identity/identity.ts";
import type { FunctionPolicies } from "../policy/function-policies.ts";
import type { Reader } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";

/** Whether the result depends on the caller: such a query runs separately for each user. */
export function asksForCaller({ auth = "public" }: Pick<FnDefinition, "auth">): boolean {
  return auth !== "public";
}

/** Whether a policy decides who may call, based on the arguments and possibly on rows. */
export function hasPolicy({ auth }: Pick<FnDefinition, "auth">): boolean {
  return typeof auth === "string" && auth !== "public" && auth !== "user" && auth !== "admin";
}

/**
 * Checks the caller alone, before the arguments are validated.
 *
 * @throws PylonError AUTH_REQUIRED, FORBIDDEN
 */
export function checkCaller(
  name: string,
  { auth = "public" }: Pick<FnDefinition, "auth">,
  { isAdmin, roles, userId }: Caller,
): void {
  if (isAdmin || auth === "public" || hasPolicy({ auth })) return;
  if (auth === "admin") throw forbidden(name, "Only the admin may call this function.");
  if (userId === null)
    throw new PylonError("AUTH_REQUIRED", `Only signed-in users may call "${name}".`, {
      hint: "Send Authorization: Bearer <token>.",
    });
  if (typeof auth === "string" || auth.roles.some((role) => roles.includes(role))) return;
  throw forbidden(
    name,
    `Only users with the role ${auth.roles.join(" or ")} may call this function.`,
  );
}

/**
 * Evaluates a function's policy.
 *
 * @param reader used if the policy depends on rows
 * @throws PylonError POLICY_DENIED
 */
export async function checkPolicyOf(
  name: string,
  policies: FunctionPolicies,
  reader: Pick<Reader, "test">,
  env: { readonly caller: Caller; readonly args: unknown; readonly now: number },
): Promise<void> {
  const { caller, args, now } = env;
  if (caller.isAdmin) return;
  const bound = bind(policies.get(name) ?? FALSE, {
    auth: caller,
    input: scalarsOf(args),
    now: new Date(now).toISOString(),
  });
  if (bound.kind === "literal" ? bound.value === true : await reader.test(bound)) return;
  throw new PylonError("POLICY_DENIED", `The policy of "${name}" does not allow this call.`, {
    hint: `See "auth" in the function's file.`,
  });
}

/** Policies compare scalar values only: to them, objects and lists are absent. */
function scalarsOf(args: unknown): Values {
  if (!isRecord(args)) return {};
  return Object.fromEntries(
    Object.entries(args).filter(([, value]) =>
      ["string", "number", "boolean"].includes(typeof value),
    ),
  );
}

function forbidden(name: string, hint: string): PylonError {
  return new PylonError("FORBIDDEN", `You may not call "${name}".`, { hint });
}
