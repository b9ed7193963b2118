/**
 * Returns the bytes from `start` on. A part of an array keeps the memory of all of it: once less
 * than half is left, the rest is copied, so that a slow reader holds at most twice what is counted.
 */
export function restOf(bytes: Uint8Array, start: number): Uint8Array {
  const rest = bytes.subarray(start);
  return rest.length * 2 < bytes.buffer.byteLength ? new Uint8Array(rest) : rest;
}
