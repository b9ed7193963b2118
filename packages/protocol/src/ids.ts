const ROW_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether `value` can be the id of a row: 1 to 64 characters of `A-Z a-z 0-9 _ -`. */
export function isRowId(value: unknown): value is string {
  return typeof value === "string" && ROW_ID.test(value);
}

/**
 * Creates a generator of row ids: 40 lowercase hex characters that sort by creation time.
 *
 * 12 characters of milliseconds, 8 of a counter within the millisecond, and 20 of randomness (80
 * bits), so that ids created by different machines at the same time do not collide.
 *
 * @param now milliseconds since 1970
 * @param random fills the given bytes, like `crypto.getRandomValues`
 */
export function createIdFactory(
  now: () => number,
  random: (bytes: Uint8Array) => void,
): () => string {
  const bytes = new Uint8Array(1000);
  let used = bytes.length;
  let last = 0;
  let counter = 0;
  /** The characters of `last`. */
  let head = "";
  return () => {
    const time = now();
    if (time > last || head === "") {
      last = Math.max(time, last);
      counter = 0;
      head = last.toString(16).padStart(12, "0");
    } else {
      counter += 1;
    }
    if (used === bytes.length) {
      random(bytes);
      used = 0;
    }
    let tail = "";
    for (const end = used + 10; used < end; used += 1) tail += HEX_BYTES[bytes[used] ?? 0] ?? "";
    return head + (counter === 0 ? FIRST : counter.toString(16).padStart(8, "0")) + tail;
  };
}

/** The counter of the first id of a millisecond. */
const FIRST = "00000000";

const HEX_BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
