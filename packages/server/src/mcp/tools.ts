import type { Manifest } from "@pylonsync/sdk";
import { mcpToolsOf, type McpAccess } from "@pylonsync/sdk/plugins";
import { nearest } from "@pylonsync/query";
import type { Functions } from "../functions/call.ts";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { argsSchema, rowSchema, type ObjectSchema } from "./tool-input.ts";

/** What a tool does. */
export type ToolTarget =
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "query" | "get"; readonly entity: string }
  | { readonly kind: "insert" | "update" | "delete"; readonly entity: string };

/** A tool as a model sees it, with its target. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: ObjectSchema;
  readonly isReadOnly: boolean;
  readonly target: ToolTarget;
}

/** The tools of an app, and its instructions; null for an app that has none. */
export interface AppTools {
  readonly instructions: string;
  readonly tools: ReadonlyMap<string, Tool>;
}

/** The settings of the plugin; undefined for an app without it. */
function settingsIn({ plugins = [] }: Pick<Manifest, "plugins">): unknown {
  const plugin = plugins.find(({ name, custom }) => name === "mcp" && custom !== true);
  return plugin === undefined ? undefined : (plugin.config ?? {});
}

/** Checks the settings against the app. */
export function* checkMcp(manifest: Manifest, functions: Functions): Generator<Diagnostic> {
  const settings = settingsIn(manifest);
  if (settings === undefined) return;
  let tools;
  try {
    tools = mcpToolsOf(settings);
  } catch (error) {
    yield errorAt(
      "PLUGIN_CONFIG_INVALID",
      String(error instanceof Error ? error.message : error),
      "plugins",
    );
    return;
  }
  const callable = [...functions].filter(([, { internal }]) => internal !== true);
  const known = {
    function: callable.map(([name]) => name),
    entity: manifest.entities.map(({ name }) => name),
  };
  const named = [
    ...Object.keys(tools.functions).map((name) => ["function", name] as const),
    ...Object.keys(tools.entities).map((name) => ["entity", name] as const),
  ];
  yield* checkToolNames(Object.keys(tools.functions));
  for (const [kind, name] of named) {
    if (known[kind].includes(name)) continue;
    const meant = nearest(name, known[kind]);
    const isInternal = kind === "function" && functions.has(name);
    yield errorAt(
      "PLUGIN_CONFIG_INVALID",
      isInternal
        ? `mcp names the function "${name}", which is internal.`
        : `mcp names the ${kind} "${name}", which the app does not have.`,
      "plugins",
      meant === undefined ? `Known: ${known[kind].join(", ")}.` : `Did you mean "${meant}"?`,
    );
  }
}

/** Function names may contain characters that tools' can't, so two may become one tool. */
function* checkToolNames(functions: readonly string[]): Generator<Diagnostic> {
  const seen = new Map<string, string>();
  for (const name of functions) {
    const tool = toolName(name);
    const other = seen.get(tool);
    seen.set(tool, name);
    if (other !== undefined)
      yield errorAt(
        "PLUGIN_CONFIG_INVALID",
        `mcp names the functions "${other}" and "${name}", which both become the tool ${tool}.`,
        "plugins",
        "Rename or omit one of them.",
      );
  }
}

/** @returns null for an app without tools */
export function toolsOf(manifest: Manifest, functions: Functions): AppTools | null {
  const settings = settingsIn(manifest);
  if (settings === undefined) return null;
  const { functions: named, entities, instructions } = mcpToolsOf(settings);
  const tools: Tool[] = [];
  for (const [name, { description }] of Object.entries(named)) {
    const definition = functions.get(name);
    if (definition === undefined || definition.internal === true) continue;
    tools.push({
      name: toolName(name),
      description,
      inputSchema: argsSchema(definition),
      isReadOnly: definition.type === "query",
      target: { kind: "function", name },
    });
  }
  for (const [entity, accesses] of Object.entries(entities))
    for (const access of accesses) tools.push(...entityTools(manifest, entity, access));
  return { instructions, tools: new Map(tools.map((tool) => [tool.name, tool])) };
}

/** Clients accept letters, digits, _ and -. */
function toolName(name: string): string {
  return name.replace(/[^\w-]/g, "_").slice(0, 64);
}

const ID = { type: "string", description: "The id of the row." };

function entityTools({ entities }: Manifest, name: string, access: McpAccess): readonly Tool[] {
  const entity = entities.find((one) => one.name === name);
  if (entity === undefined) return [];
  if (access === "read")
    return readTools(
      name,
      entity.fields.filter(({ hidden }) => hidden !== true).map((field) => field.name),
    );
  const byAccess = {
    insert: {
      description: `Inserts a ${name}. Returns its id.`,
      properties: { data: rowSchema(entity, false) },
      required: ["data"],
    },
    update: {
      description: `Updates fields of a ${name}.`,
      properties: { id: ID, data: rowSchema(entity, true) },
      required: ["id", "data"],
    },
    delete: { description: `Deletes a ${name}.`, properties: { id: ID }, required: ["id"] },
  } as const;
  const { description, ...schema } = byAccess[access];
  return [
    {
      name: toolName(`${name}_${access}`),
      description,
      inputSchema: { type: "object", ...schema, additionalProperties: false },
      isReadOnly: false,
      target: { kind: access, entity: name },
    },
  ];
}

function readTools(entity: string, fields: readonly string[]): readonly Tool[] {
  const filter = {
    type: "object",
    description:
      `Conditions by field, such as {"${fields[0] ?? "id"}": {"$gt": 3}}; operators: $ne, $gt, ` +
      '$gte, $lt, $lte, $in, $like, $or; $order: {field: "asc"}, $limit, $offset.',
  };
  return [
    {
      name: toolName(`${entity}_query`),
      description: `Reads rows of ${entity}: ${["id", ...fields].join(", ")}.`,
      inputSchema: { type: "object", properties: { filter }, additionalProperties: false },
      isReadOnly: true,
      target: { kind: "query", entity },
    },
    {
      name: toolName(`${entity}_get`),
      description: `Reads one row of ${entity}.`,
      inputSchema: {
        type: "object",
        properties: { id: ID },
        required: ["id"],
        additionalProperties: false,
      },
      isReadOnly: true,
      target: { kind: "get", entity },
    },
  ];
}
