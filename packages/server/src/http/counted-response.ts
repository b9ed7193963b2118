import { estimateShallowMemoryUsageOf } from "bun:jsc";
import { UNCOUNTED_BYTES } from "@pylonsync/protocol";
import { BytesAnswer } from "../request/responses.ts";

/**
 * Lets a Response of a route or an app count among the bytes in flight if its whole body is in
 * memory, as a text or as bytes. A stream is only produced as fast as it is read, and a file is
 * read in parts.
 */
export function countedResponse(
  response: Response,
  { method }: Request,
): Response | Promise<BytesAnswer> {
  // The body of a response to HEAD is never sent, only its length.
  if (method === "HEAD") return response;
  // Nothing else tells a body in memory from a stream without reading it.
  return estimateShallowMemoryUsageOf(response) <= UNCOUNTED_BYTES ? response : bytesOf(response);
}

async function bytesOf(response: Response): Promise<BytesAnswer> {
  const { status, statusText, headers } = response;
  const content = await response.blob();
  if (!headers.has("content-type") && content.type !== "")
    headers.set("Content-Type", content.type);
  return new BytesAnswer(await content.bytes(), { status, statusText, headers });
}
