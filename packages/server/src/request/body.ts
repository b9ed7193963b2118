import { MAX_BODY_BYTES, MAX_JSON_DEPTH, PylonError } from "@pylonsync/protocol";

/** @throws PylonError PAYLOAD_TOO_LARGE, INVALID_DATA when it is cut off or not UTF-8 */
export async function readText(request: Request): Promise<string> {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  // A body that says its length holds no more than that; a chunked one says it only at its end.
  if (request.headers.has("content-length") || request.body === null)
    return decoded(await request.bytes().catch(cutOff));
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(cutOff);
    if (done) break;
    size += value.length;
    if (size > MAX_BODY_BYTES) {
      void reader.cancel();
      throw tooLarge();
    }
    chunks.push(value);
  }
  return decoded(Buffer.concat(chunks));
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** @throws PylonError INVALID_DATA: a replacement for what can't be read would be stored as if it had been sent */
function decoded(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new PylonError("INVALID_DATA", "The body is not UTF-8 text.", {
      hint: "Encode it as UTF-8, whatever charset the Content-Type header names.",
    });
  }
}

function cutOff(): never {
  throw new PylonError("INVALID_DATA", "The body was cut off.");
}

/** @throws PylonError INVALID_JSON when the text is no JSON or nests deeper than MAX_JSON_DEPTH */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PylonError(
      "INVALID_JSON",
      `The body is no JSON${error instanceof SyntaxError ? `: ${error.message}` : ""}.`,
      {
        hint: "Send JSON with the header Content-Type: application/json.",
      },
    );
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
  return new PylonError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than ${MAX_BODY_BYTES / 1024 / 1024} MiB.`,
  );
}
