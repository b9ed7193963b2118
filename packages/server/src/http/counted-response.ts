import { estimateShallowMemoryUsageOf } from "bun:jsc";
import { UNCOUNTED_BYTES } from "@pylonsync/protocol";
import { BytesAnswer } from "../request/responses.ts";

/**
 * Lets a Response of an app count among the bytes in flight if its whole body is in memory, as a
 * text or as bytes. A stream is only produced as fast as it is read, and a file is read in parts.
 */
export async function countedResponse(response: Response): Promise<Response | BytesAnswer> {
  // Nothing else tells a body in memory from a stream without reading it.
  if (estimateShallowMemoryUsageOf(response) <= UNCOUNTED_BYTES) return response;
  const { status, statusText, headers } = response;
  const content = await response.blob();
  if (!headers.has("content-type") && content.type !== "")
    headers.set("Content-Type", content.type);
  return new BytesAnswer(await content.bytes(), { status, statusText, headers });
}
