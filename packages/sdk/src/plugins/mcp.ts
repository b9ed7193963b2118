import { isObject, shown } from "../mistake.ts";
import { definePlugin, type Plugin } from "../plugin.ts";
import { checkOptions } from "./options.ts";

/** An operation that a model may perform on the rows of an entity. */
export type McpAccess = "read" | "insert" | "update" | "delete";

/** The functions and entities that are exposed as tools. Nothing else is exposed. */
export interface McpOptions {
  /** Functions by name, each with the description that the model receives. */
  readonly functions?: Readonly<Record<string, { readonly description: string }>>;
  /** Allowed operations by entity name. Policies apply as well. */
  readonly entities?: Readonly<Record<string, readonly McpAccess[]>>;
  /** A description of the app for the model. */
  readonly instructions?: string;
}

/** The options as stored in the manifest, with defaults applied. */
export type McpTools = Required<McpOptions>;

const ACCESSES: readonly unknown[] = ["read", "insert", "update", "delete"];
const OPTIONS = ["functions", "entities", "instructions"] as const;

/**
 * Serves functions and rows of the app as tools for models, at `/mcp`, using the Model Context
 * Protocol. A model acts as the user whose session token or API key it sends, with that user's
 * permissions.
 *
 * @example
 * const plugins = [
 *   mcp({
 *     functions: { sendMessage: { description: "Sends a message to a channel." } },
 *     entities: { Channel: ["read"], Todo: ["read", "insert", "update"] },
 *   }),
 * ];
 */
export function mcp(options: McpOptions): Plugin {
  mcpToolsOf(options);
  return definePlugin({ name: "mcp", config: { ...options } });
}

/**
 * Returns the plugin's tools from a manifest.
 *
 * @throws Error that names the invalid setting
 *
 * @example
 * const { entities } = mcpToolsOf({ entities: { Todo: ["read"] } });
 */
export function mcpToolsOf(config: unknown): McpTools {
  checkOptions("mcp", config, OPTIONS);
  const { functions = {}, entities = {}, instructions = "" } = isObject(config) ? config : {};
  if (typeof instructions !== "string")
    throw new Error(`instructions of mcp is ${shown(instructions)}, and must be a string.`);
  return { functions: functionsIn(functions), entities: entitiesIn(entities), instructions };
}

function functionsIn(functions: unknown): McpTools["functions"] {
  if (!isObject(functions) || Array.isArray(functions))
    throw new Error("functions of mcp must be an object of functions by name.");
  const all: Record<string, { description: string }> = {};
  for (const [name, tool] of Object.entries(functions)) {
    checkOptions(`the function ${name} of mcp`, tool, ["description"]);
    const description: unknown = isObject(tool) ? tool["description"] : undefined;
    if (typeof description !== "string" || description.trim() === "")
      throw new Error(
        `The function ${name} of mcp needs a description: models choose tools by it.`,
      );
    all[name] = { description };
  }
  return all;
}

function entitiesIn(entities: unknown): McpTools["entities"] {
  if (!isObject(entities) || Array.isArray(entities))
    throw new Error('entities of mcp must be an object such as { Todo: ["read"] }.');
  const all: Record<string, readonly McpAccess[]> = {};
  for (const [name, accesses] of Object.entries(entities)) {
    if (!isAccesses(accesses))
      throw new Error(`The entity ${name} of mcp must have a list of ${ACCESSES.join(", ")}.`);
    all[name] = accesses;
  }
  return all;
}

function isAccesses(value: unknown): value is readonly McpAccess[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => ACCESSES.includes(one));
}
