import { isObject, shown } from "../mistake.ts";
import { definePlugin, type Plugin } from "../plugin.ts";
import { checkNames, checkOptions } from "./options.ts";

/** Which users may use the AI endpoints, and which models. */
export interface AiProxyOptions {
  /** Allowed models in addition to `PYLON_AI_MODEL`. */
  readonly models?: readonly string[];
  /** Only users with one of these roles may send requests. Default: every user. */
  readonly roles?: readonly string[];
  /** Whether guests may send requests; anyone can create any number of guests. Default false. */
  readonly guests?: boolean;
}

/** The options as stored in the manifest, with defaults applied. */
export interface AiSettings {
  readonly models: readonly string[];
  /** Null: all users. */
  readonly roles: readonly string[] | null;
  readonly guests: boolean;
}

/**
 * Allows users to call `/api/ai/complete` and `/api/ai/stream`, which forward requests to the
 * provider that the `PYLON_AI_` variables configure. The API key stays on the server.
 *
 * @example
 * const plugins = [aiProxy({ models: ["small-model", "large-model"], roles: ["member"] })];
 */
export function aiProxy(options: AiProxyOptions = {}): Plugin {
  aiSettingsIn(options);
  return definePlugin({ name: "ai_proxy", config: { ...options } });
}

/**
 * Returns the plugin's settings from a manifest.
 *
 * @throws Error that names the invalid setting
 *
 * @example
 * const { models } = aiSettingsIn({ models: ["large-model"] });
 */
export function aiSettingsIn(config: unknown): AiSettings {
  checkOptions("ai_proxy", config, ["models", "roles", "guests"]);
  const { models, roles, guests = false } = isObject(config) ? config : {};
  checkNames("ai_proxy", "models", models);
  checkNames("ai_proxy", "roles", roles);
  if (typeof guests !== "boolean")
    throw new Error(`guests of ai_proxy is ${shown(guests)}, and must be true or false.`);
  return { models: textsIn(models), roles: roles === undefined ? null : textsIn(roles), guests };
}

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
