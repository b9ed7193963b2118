import type { AiConfig } from "./config.ts";
import type { VariableReader } from "./variable-reader.ts";
import { VARIABLES, type VariableName } from "./variables.ts";

const BASE_URLS = {
  openai: "https://api.openai.com/v1",
  anthropic: "https://api.anthropic.com",
} as const;
const MINUTE = 60;
const DAY = 86_400;

/** Returns the model's settings, or null if there is none or a provider's setting is missing. */
export function aiConfig(reader: VariableReader): AiConfig | null {
  const provider = reader.get("PYLON_AI_PROVIDER");
  const apiKey = reader.get("PYLON_AI_API_KEY") ?? null;
  const baseUrl = reader.get("PYLON_AI_BASE_URL");
  const model = reader.get("PYLON_AI_MODEL");
  const maxTokens = reader.get("PYLON_AI_MAX_TOKENS");
  const requests = reader.get("PYLON_AI_RATE_LIMIT_MAX");
  const tokens = reader.get("PYLON_AI_TOKENS_PER_DAY");
  if (provider === undefined) return null;
  const missing = (name: VariableName): null => {
    reader.problems.add(
      `${name} is not set, and ${provider} needs it: expected ${VARIABLES[name].wants}.`,
    );
    return null;
  };
  if (model === undefined) return missing("PYLON_AI_MODEL");
  // A user's own model server may need no key.
  if (apiKey === null && baseUrl === undefined) return missing("PYLON_AI_API_KEY");
  return {
    provider,
    apiKey,
    baseUrl: (baseUrl ?? BASE_URLS[provider]).replace(/\/+$/, ""),
    model,
    maxTokens,
    requests: { max: requests, windowSeconds: MINUTE },
    tokens: { max: tokens, windowSeconds: DAY },
  };
}
