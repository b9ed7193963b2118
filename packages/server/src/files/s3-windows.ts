import type { Platform } from "../platform.ts";
import type { ByteRange } from "./file-storage.ts";

/**
 * The size of one request to S3. It bounds the memory that a slow reader uses, whatever the HTTP
 * client buffers.
 */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** How long a body may send nothing, in milliseconds. */
const SILENCE_MS = 30_000;

interface Window {
  readonly etag: string | undefined;
  readonly body: ReadableStream<Uint8Array>;
}

/**
 * Fetches a part of the object; with `etag` only of that version of it. Null if there is no such
 * object.
 */
export type FetchWindow = (range: ByteRange, etag: string | undefined) => Promise<Window | null>;

/**
 * Streams a range of an object, which is fetched window by window as it is read. The first window
 * is fetched immediately, so that a failure is detected before a response is sent.
 *
 * @returns null if there is no such object
 */
export async function streamWindows(
  range: ByteRange,
  fetch: FetchWindow,
  platform: Pick<Platform, "after">,
): Promise<ReadableStream<Uint8Array> | null> {
  const first = await fetch(windowAt(range, range.start), undefined);
  if (first === null) return null;
  let reader = first.body.getReader();
  let position = range.start;
  let windowEnd = windowAt(range, position).end;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          const chunk = await readOrTimeOut(reader, platform);
          if (chunk !== undefined && chunk.length > 0) {
            position += chunk.length;
            controller.enqueue(chunk);
            if (position > range.end) controller.close();
            return;
          }
          if (chunk !== undefined) continue;
          if (position <= windowEnd)
            throw new Error("The response of S3 ended before the object was complete.");
          const next = windowAt(range, position);
          const window = await fetch(next, first.etag);
          if (window === null) throw new Error("The object was deleted while it was read.");
          reader = window.body.getReader();
          windowEnd = next.end;
        }
      },
      async cancel() {
        await reader.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}

function windowAt(range: ByteRange, start: number): ByteRange {
  return { start, end: Math.min(range.end, start + WINDOW_BYTES - 1) };
}

/** @returns undefined at the end */
async function readOrTimeOut(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { after }: Pick<Platform, "after">,
): Promise<Uint8Array | undefined> {
  const timer = after(SILENCE_MS, () => void reader.cancel(new Error("S3 stopped sending data.")));
  try {
    const { done, value } = await reader.read();
    return done ? undefined : value;
  } finally {
    timer.cancel();
  }
}
