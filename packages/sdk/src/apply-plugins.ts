import type { AuthHooks, Claims } from "./auth.ts";
import type { ManifestCron, ManifestEntity, ManifestPolicy, ManifestQueue } from "./manifest.ts";
import { checkFunctions, checkList, isObject, shown, unknownKeys } from "./mistake.ts";
import { entity } from "./entity.ts";
import type { ManifestPlugin } from "./manifest.ts";
import type { EntityHooks, Plugin, PluginFunction } from "./plugin.ts";
import { changeEntities, withField, withIndex } from "./plugins/options.ts";

const ENTITY_HOOKS: readonly (keyof EntityHooks)[] = [
  "beforeInsert",
  "afterInsert",
  "beforeUpdate",
  "afterUpdate",
  "beforeDelete",
  "afterDelete",
];
/** The names of the hooks of `auth()` and of a plugin's `auth`. */
export const AUTH_HOOKS: readonly (keyof AuthHooks)[] = ["onSignUp", "onSignIn", "claims"];

/** An app's definition together with what its plugins add. */
export interface WithPlugins {
  readonly entities: readonly ManifestEntity[];
  readonly policies: readonly ManifestPolicy[];
  readonly crons: readonly ManifestCron[] | undefined;
  readonly queues: Readonly<Record<string, ManifestQueue>> | undefined;
  readonly hooks: readonly EntityHooks[];
  readonly auth: AuthHooks;
  readonly functions: Readonly<Record<string, PluginFunction>>;
}

/**
 * Merges what plugins add into the app's definition.
 *
 * @throws Error when the plugins' `before` and `after` contradict each other, or two plugins have
 *   the same function
 */
export function applyPlugins(
  app: Pick<WithPlugins, "entities" | "policies" | "crons" | "queues" | "auth">,
  plugins: readonly Plugin[],
): WithPlugins {
  if (plugins.length === 0) return { ...app, hooks: [], functions: {} };
  checkList(app.policies, "policies of buildManifest", "policies: [policy({ ... })]");
  let entities = app.entities;
  for (const plugin of plugins) entities = withAdditions(plugin, entities);
  const crons = [...(app.crons ?? []), ...plugins.flatMap((plugin) => plugin.crons ?? [])];
  const queues = Object.assign({}, ...plugins.map((plugin) => plugin.queues), app.queues);
  const ordered = inOrder(plugins);
  return {
    entities: [...entities, ...plugins.flatMap((plugin) => plugin.entities ?? [])],
    policies: [
      ...app.policies,
      ...plugins.flatMap(({ policies = [] }) =>
        typeof policies === "function" ? policies(entities) : policies,
      ),
    ],
    crons: crons.length === 0 ? app.crons : crons,
    queues: Object.keys(queues).length === 0 ? app.queues : queues,
    hooks: ordered.flatMap((plugin) => plugin.hooks ?? []),
    auth: allHooks([...ordered.flatMap((plugin) => plugin.auth ?? []), app.auth]),
    functions: functionsOf(plugins),
  };
}

/**
 * Adds the fields of a plugin to the app's entities, and what its `schema` adds.
 *
 * @throws Error for an unknown entity, a field that the entity has with another type, and a result
 *   of `schema` that is not a list of entities
 */
function withAdditions(
  { name, fields = {}, schema }: Plugin,
  app: readonly ManifestEntity[],
): readonly ManifestEntity[] {
  const of = `The plugin ${name}`;
  const whole = Object.entries(fields).reduce((entities, [entityName, own]) => {
    const added = entity(entityName, own);
    return changeEntities(of, entities, [entityName], (one) =>
      added.indexes.reduce(
        (indexed, index) => withIndex(indexed, index.fields),
        added.fields.reduce((all, field) => withField(of, all, field), one),
      ),
    );
  }, app);
  const changed = schema?.(whole) ?? whole;
  const isAsBefore = new Set<unknown>(whole);
  if (Array.isArray(changed) && changed.every((one) => isAsBefore.has(one) || isEntity(one)))
    return changed;
  throw new Error(
    `${of} returned from schema something other than a list of entities with lists of fields: ` +
      "use fields: { Todo: { rank: field.int() } } to add fields.",
  );
}

function isEntity(value: unknown): value is ManifestEntity {
  return isObject(value) && Array.isArray(value["fields"]) && Array.isArray(value["indexes"]);
}

/**
 * Orders the plugins: in the order of the app, except where `before` and `after` say otherwise.
 *
 * @throws Error for a cycle
 */
function inOrder(plugins: readonly Plugin[]): readonly Plugin[] {
  const ordered: Plugin[] = [];
  const open = [...plugins];
  const mustWait = (plugin: Plugin): boolean =>
    open.some(
      (other) =>
        other !== plugin &&
        (plugin.after?.includes(other.name) === true ||
          other.before?.includes(plugin.name) === true),
    );
  while (open.length > 0) {
    const next = open.findIndex((plugin) => !mustWait(plugin));
    if (next === -1)
      throw new Error(
        `The plugins ${open.map(({ name }) => name).join(", ")} form a cycle: ` +
          "each must run before another one of them. Remove a name from their before or after.",
      );
    ordered.push(...open.splice(next, 1));
  }
  return ordered;
}

function functionsOf(plugins: readonly Plugin[]): Readonly<Record<string, PluginFunction>> {
  const all: Record<string, PluginFunction> = {};
  for (const plugin of plugins)
    for (const [name, definition] of Object.entries(plugin.functions ?? {})) {
      if (Object.hasOwn(all, name))
        throw new Error(`Two plugins define the function "${name}": remove one of them.`);
      all[name] = definition;
    }
  return all;
}

/** Combines hooks: all must allow the event, in order, and the user gets the roles of all. */
function allHooks(hooks: readonly AuthHooks[]): AuthHooks {
  const [only] = hooks;
  if (hooks.length === 1 && only !== undefined) return only;
  const everyOf =
    (kind: "onSignUp" | "onSignIn"): AuthHooks["onSignUp"] =>
    async (event) => {
      for (const one of hooks) {
        const answer = await one[kind]?.(event);
        if (answer === false || answer === null) return false;
      }
      return true;
    };
  const asks = (kind: keyof AuthHooks): boolean => hooks.some((one) => one[kind] !== undefined);
  return {
    ...(asks("onSignUp") ? { onSignUp: everyOf("onSignUp") } : {}),
    ...(asks("onSignIn") ? { onSignIn: everyOf("onSignIn") } : {}),
    ...(asks("claims")
      ? {
          claims: async (event): Promise<Claims> => {
            const roles = new Set<string>();
            let claims: NonNullable<Claims["claims"]> = {};
            for (const one of hooks) {
              const said = await one.claims?.(event);
              for (const role of said?.roles ?? []) roles.add(role);
              claims = { ...claims, ...said?.claims };
            }
            return { roles: [...roles], claims };
          },
        }
      : {}),
  };
}

/** @throws Error if the value is not a plugin */
export function checkPlugin(plugin: unknown, index: number): void {
  if (!isObject(plugin))
    throw new Error(`plugins[${index}] is ${shown(plugin)}: write definePlugin({ name: "..." }).`);
  const { name, hooks, entities, fields, functions, auth, crons, before, after } = plugin;
  const of = `of the plugin ${shown(name)}`;
  for (const one of Array.isArray(hooks) ? hooks : [hooks])
    checkFunctions(one, `hooks ${of}`, ENTITY_HOOKS);
  checkFunctions(auth, `auth ${of}`, AUTH_HOOKS);
  checkList(entities, `entities ${of}`, "entities: [Todo]");
  if (fields !== undefined && !isObject(fields))
    throw new Error(
      `fields ${of} is ${shown(fields)}: write fields: { Todo: { rank: field.int() } }.`,
    );
  checkList(before, `before ${of}`, 'before: ["audit_log"]');
  checkList(after, `after ${of}`, 'after: ["timestamps"]');
  checkList(crons, `crons ${of}`, 'crons: [{ name: "x", schedule: "@daily", function: "x" }]');
  checkPluginFunctions(functions, of);
}

function checkPluginFunctions(functions: unknown, of: string): void {
  if (functions === undefined) return;
  if (!isObject(functions) || Array.isArray(functions))
    throw new Error(`functions ${of} is ${shown(functions)}, and must be an object of functions.`);
  for (const [name, definition] of Object.entries(functions)) {
    const isMade = isObject(definition) && typeof definition["handler"] === "function";
    if (!isMade || !["query", "mutation", "action"].includes(String(definition["type"])))
      throw new Error(
        `functions ${of}.${name} is ${shown(definition)}: make it with query, mutation or action ` +
          "of @pylonsync/functions.",
      );
  }
}

/** The manifest entry of a plugin. */
export function toManifestPlugin(plugin: Plugin): ManifestPlugin {
  const {
    name,
    config,
    hooks,
    entities,
    policies,
    fields,
    schema,
    auth,
    functions,
    crons,
    queues,
    before: _before,
    after: _after,
    ...rest
  } = plugin;
  const isCustom = [hooks, entities, policies, fields, schema, auth, functions, crons, queues].some(
    (part) => part !== undefined,
  );
  return {
    ...unknownKeys(rest),
    name,
    ...(isCustom ? { custom: true } : {}),
    ...(config === undefined ? {} : { config }),
  };
}
