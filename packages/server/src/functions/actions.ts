import { PylonError } from "@pylonsync/protocol";
import { bind, nearest } from "@pylonsync/query";
import { parseArgs, v, type Validator } from "@pylonsync/functions";
import type { Manifest, ManifestCall, ManifestInput } from "@pylonsync/sdk";
import { operationOf } from "../data/idempotency.ts";
import type { DataServices } from "../data/routes.ts";
import type { RequestContext } from "../request/context.ts";
import { readerShare } from "../request/reading.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { FunctionLimits } from "./function-limits.ts";
import type { Functions } from "./call.ts";
import type { Runner } from "./runner.ts";

/** The services of the route of actions. */
export interface ActionServices {
  readonly manifest: () => Manifest;
  readonly data: Pick<DataServices, "model" | "reader" | "platform">;
  readonly functions: () => Functions;
  readonly runner: Runner;
  readonly limits: FunctionLimits;
}

/**
 * The route that calls the actions of a manifest: it checks the action's policies and input, and
 * calls the function with the same name if the app has one.
 */
export function actionRoutes(services: ActionServices): Route[] {
  return [
    {
      method: "POST",
      path: "/api/actions/:name",
      body: "rows",
      access: "anyone",
      scope: "functions",
      handle: (context) => callAction(services, context),
    },
  ];
}

async function callAction(services: ActionServices, context: RequestContext): Promise<Answer> {
  const { manifest, limits } = services;
  const action = declaredAction(manifest(), context.param("name"));
  const { caller } = context;
  const definition = services.functions().get(action.name);
  await limits.count(action.name, definition ?? {}, {
    caller,
    address: () => context.address,
  });
  const input = parseArgs({ args: validatorsOf(action.input ?? []) }, await context.json({}));
  await checkPolicy(services, context, action.name, input);
  const called = { action: action.name, input, executed: true };
  if (definition === undefined || definition.internal === true) return json(called);
  const op = operationOf(context.request.headers, `action ${action.name}`, input);
  const result = await services.runner.run(action.name, definition, input, {
    caller,
    readerShare: () => readerShare(context),
    requestId: context.requestId,
    op: definition.type === "mutation" ? op : undefined,
  });
  return json({ ...called, result: JSON.parse(result.json) as unknown });
}

/** @throws PylonError ACTION_NOT_FOUND */
function declaredAction({ actions }: Manifest, name: string): ManifestCall {
  const found = actions.find((action) => action.name === name);
  if (found !== undefined) return found;
  const meant = nearest(
    name,
    actions.map((action) => action.name),
  );
  throw new PylonError("ACTION_NOT_FOUND", `The action "${name.slice(0, 80)}" does not exist.`, {
    hint:
      meant === undefined
        ? "Actions are declared in the manifest; functions are called with POST /api/fn/NAME."
        : `Did you mean "${meant}"?`,
  });
}

/** Checks the policies, which do not apply to the admin. @throws PylonError POLICY_DENIED */
async function checkPolicy(
  { data }: ActionServices,
  context: RequestContext,
  name: string,
  input: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { caller } = context;
  if (caller.isAdmin) return;
  const now = new Date(data.platform.now()).toISOString();
  const bound = bind(data.model().policies.actionRule(name), { auth: caller, input, now });
  const isAllowed =
    bound.kind === "literal" ? bound.value === true : await data.reader(context).test(bound);
  if (isAllowed) return;
  throw new PylonError(
    "POLICY_DENIED",
    `The policies of the action ${name} do not allow this call.`,
    {
      hint: "See the policy in app.ts that names the action.",
    },
  );
}

function validatorsOf(inputs: readonly ManifestInput[]): Record<string, Validator> {
  return Object.fromEntries(
    inputs.map(({ name, type, optional }) => {
      const validator = validatorOf(type);
      return [name, optional === true ? v.optional(validator) : validator];
    }),
  );
}

const VALIDATORS: ReadonlyMap<string, () => Validator> = new Map<string, () => Validator>([
  ["string", v.string],
  ["richtext", v.richtext],
  ["encrypted", v.string],
  ["file", v.string],
  ["int", v.int],
  ["float", v.float],
  ["number", v.number],
  ["bool", v.bool],
  ["boolean", v.boolean],
  ["datetime", v.datetime],
  ["array", () => v.array(v.any())],
  ["object", () => v.looseObject({})],
  ["any", v.any],
  ["json", v.any],
]);

/**
 * Returns the validator of a type that the manifest's check has accepted: any other type is an id.
 */
function validatorOf(type: string): Validator {
  return VALIDATORS.get(type)?.() ?? v.id(/^id\((.*)\)$/.exec(type)?.[1] ?? "");
}
