import { expect, test } from "bun:test";
import { systemPlatform } from "../platform.ts";
import { streamWindows, type FetchWindow } from "./s3-windows.ts";

const WINDOW = 4 * 1024 * 1024;

/** A body that sends these chunks. */
function bodyOf(...pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

test("a range is read in windows of 4 MiB, all of one version of the object", async () => {
  const object = new Uint8Array(9 * 1024 * 1024).map((_, at) => (at * 7) % 251);
  const range = { start: 100, end: object.length - 11 };
  const asked: [number, number, string | undefined][] = [];
  const fetch: FetchWindow = ({ start, end }, etag) => {
    asked.push([start, end, etag]);
    const middle = Math.floor((start + end) / 2);
    const pieces = [object.subarray(start, middle), object.subarray(middle, end + 1)];
    return Promise.resolve({ etag: "v1", body: bodyOf(...pieces) });
  };
  const stream = await streamWindows(range, fetch, systemPlatform);
  const bytes = Buffer.from(await new Response(stream).arrayBuffer());
  expect(bytes.equals(object.subarray(range.start, range.end + 1))).toBe(true);
  expect(asked).toEqual([
    [100, 100 + WINDOW - 1, undefined],
    [100 + WINDOW, 100 + 2 * WINDOW - 1, "v1"],
    [100 + 2 * WINDOW, range.end, "v1"],
  ]);
});

test("a missing object is null; one that disappears or ends early breaks the stream", async () => {
  const range = { start: 0, end: WINDOW };
  expect(await streamWindows(range, () => Promise.resolve(null), systemPlatform)).toBeNull();
  let windows = 0;
  const goes: FetchWindow = ({ start, end }) => {
    windows += 1;
    const body = bodyOf(new Uint8Array(end + 1 - start));
    return Promise.resolve(windows === 1 ? { etag: "v1", body } : null);
  };
  const gone = await streamWindows(range, goes, systemPlatform);
  await expect(new Response(gone).arrayBuffer()).rejects.toThrow("was deleted");
  const short: FetchWindow = () =>
    Promise.resolve({ etag: "v1", body: bodyOf(new Uint8Array(10)) });
  const ended = await streamWindows(range, short, systemPlatform);
  await expect(new Response(ended).arrayBuffer()).rejects.toThrow("ended before");
});

test("a body that stalls is aborted, without a wait in the test", async () => {
  const due: (() => void)[] = [];
  const silent = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) });
  const stream = await streamWindows(
    { start: 0, end: 9 },
    () => Promise.resolve({ etag: "v1", body: silent }),
    {
      after: (ms, work) => {
        expect(ms).toBe(30_000);
        due.push(work);
        return { cancel: () => undefined, unref: () => systemPlatform.after(0, () => undefined) };
      },
    },
  );
  const reading = new Response(stream).arrayBuffer();
  while (due.length === 0) await new Promise<void>((resolve) => systemPlatform.soon(resolve));
  due[0]?.();
  await expect(reading).rejects.toThrow();
});
