import { MAX_BODY_BYTES, MAX_JSON_DEPTH, PylonError } from "@pylonsync/protocol";

/**
 * Reads a JSON body.
 *
 * @param fallback what an empty body means; without it an empty body is refused
 * @throws PylonError PAYLOAD_TOO_LARGE, INVALID_JSON
 */
export async function readJson(request: Request, fallback?: unknown): Promise<unknown> {
  const text = await readText(request);
  if (text === "" && fallback !== undefined) return fallback;
  return parseJson(text);
}

/** @throws PylonError PAYLOAD_TOO_LARGE */
export async function readText(request: Request): Promise<string> {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  let text: string;
  try {
    text = await request.text();
  } catch {
    // The listener cut it off.
    throw tooLarge();
  }
  // A chunked body says its length only at its end. No character takes more than three bytes of UTF-8.
  if (text.length > MAX_BODY_BYTES / 3 && Buffer.byteLength(text) > MAX_BODY_BYTES) throw tooLarge();
  return text;
}

/** @throws PylonError INVALID_JSON when the text is no JSON or nests deeper than MAX_JSON_DEPTH */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PylonError("INVALID_JSON", `The body is no JSON${error instanceof SyntaxError ? `: ${error.message}` : ""}.`, {
      hint: "Send JSON with the header Content-Type: application/json.",
    });
  }
  if (isDeeperThan(value, MAX_JSON_DEPTH)) {
    throw new PylonError("INVALID_JSON", `The body nests deeper than ${MAX_JSON_DEPTH} levels.`);
  }
  return value;
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const item of Array.isArray(value) ? (value as unknown[]) : Object.values(value)) {
    if (typeof item === "object" && item !== null && isDeeperThan(item, levels - 1)) return true;
  }
  return false;
}

function tooLarge(): PylonError {
  return new PylonError("PAYLOAD_TOO_LARGE", `The body is larger than ${MAX_BODY_BYTES / 1024 / 1024} MiB.`);
}
