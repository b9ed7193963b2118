import { PylonError } from "@pylonsync/protocol";
import { parseJson } from "../../request/body.ts";
import type { RequestContext } from "../../request/context.ts";
import { isRecord } from "../../util/is-record.ts";
import type { CallbackParams } from "./oauth.ts";

const MAX_LENGTH = 8192;

type Get = (name: string) => string | null;

/**
 * Reads what the provider sent. A browser sends a query or, for providers that post, a form, and is
 * redirected; an app that received the redirect itself posts JSON and reads the response.
 *
 * @throws PylonError INVALID_DATA, INVALID_JSON
 */
export async function readCallback(
  context: Pick<RequestContext, "request" | "query" | "text">,
): Promise<{ readonly params: CallbackParams; readonly isBrowser: boolean }> {
  const { request } = context;
  if (request.method !== "POST")
    return { params: paramsOf((name) => context.query(name)), isBrowser: true };
  const text = await context.text();
  if (
    request.headers.get("content-type")?.startsWith("application/x-www-form-urlencoded") === true
  ) {
    const form = new URLSearchParams(text);
    return { params: paramsOf((name) => form.get(name)), isBrowser: true };
  }
  const body = parseJson(text);
  if (!isRecord(body))
    throw new PylonError("INVALID_DATA", "The body must be a JSON object.", {
      hint: 'Send {"code": "...", "state": "..."}.',
    });
  return { params: paramsOf((name) => textOf(body, name)), isBrowser: false };
}

function paramsOf(get: Get): CallbackParams {
  const bounded: Get = (name) => {
    const value = get(name);
    if (value !== null && value.length > MAX_LENGTH)
      throw new PylonError("INVALID_DATA", `"${name}" may have at most ${MAX_LENGTH} characters.`, {
        field: name,
      });
    return value === "" ? null : value;
  };
  return {
    code: bounded("code"),
    state: bounded("state"),
    error: bounded("error"),
    issuer: bounded("iss"),
    form: parsed(bounded("user")),
  };
}

function textOf(body: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = Object.hasOwn(body, name) ? body[name] : undefined;
  if (value === undefined || value === null) return null;
  if (typeof value !== "string")
    throw new PylonError("INVALID_DATA", `"${name}" must be a string.`, { field: name });
  return value;
}

/** Apple's `user` is JSON in a form. If it is broken, only the name is lost. */
function parsed(user: string | null): unknown {
  if (user === null) return null;
  try {
    return parseJson(user);
  } catch (error) {
    if (error instanceof PylonError) return null;
    throw error;
  }
}
