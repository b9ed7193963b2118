import { COUNT, httpUrl, oneOf, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of the AI provider, and how much of it a user may use. */
export const AI_VARIABLES = {
  PYLON_AI_PROVIDER: variable<"openai" | "anthropic" | undefined>({
    wants: "openai or anthropic",
    doc:
      "The API format of the model used by `/api/ai/complete` and `/api/ai/stream`; many model " +
      "servers support that of `openai`. If it is not set, both routes return " +
      "`AI_NOT_CONFIGURED`. See [AI](ai.md).",
    fallback: undefined,
    parse: oneOf("openai", "anthropic"),
  }),
  PYLON_AI_API_KEY: variable<string | undefined>({
    wants: "the provider's key",
    doc: "The API key of the provider. It is sent only to the provider.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_AI_BASE_URL: variable<string | undefined>({
    wants: "an http or https URL",
    doc:
      "The base URL of the provider, up to the `/` before `chat/completions` or `v1/messages`. " +
      "Default `https://api.openai.com/v1` or `https://api.anthropic.com`.",
    fallback: undefined,
    parse: httpUrl,
  }),
  PYLON_AI_MODEL: variable<string | undefined>({
    wants: "a model's name",
    doc: "The model to use when a request names none.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_AI_MAX_TOKENS: variable({
    wants: "a whole number from 1 to 1000000",
    doc: "The maximum number of tokens in a response, and the default for requests that set none.",
    fallback: 4096,
    parse: whole(1, 1_000_000),
  }),
  PYLON_AI_RATE_LIMIT_MAX: variable({
    wants: "a whole number",
    doc: "The maximum number of model requests per user per minute; 0 disables the limit.",
    fallback: 20,
    parse: COUNT,
  }),
  PYLON_AI_TOKENS_PER_DAY: variable({
    wants: "a whole number",
    doc: "The maximum number of tokens per user in 24 hours, in and out; 0 disables the limit.",
    fallback: 200_000,
    parse: COUNT,
  }),
} as const;
