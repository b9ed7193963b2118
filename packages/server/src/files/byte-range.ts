import type { ByteRange } from "./file-storage.ts";

/**
 * Parses the Range header for a file of `size` bytes. Several ranges, and invalid headers, are
 * ignored, as RFC 9110 allows.
 *
 * @returns the range; undefined for the whole file; null if it begins after the end
 */
export function parseRange(header: string | null, size: number): ByteRange | undefined | null {
  const match = /^bytes=(\d*)-(\d*)$/i.exec(header?.trim() ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "")
    return Number(last) === 0 || size === 0
      ? null
      : { start: Math.max(0, size - Number(last)), end: size - 1 };
  const start = Number(first);
  if (last !== "" && Number(last) < start) return undefined;
  if (start >= size) return null;
  return { start, end: last === "" ? size - 1 : Math.min(size - 1, Number(last)) };
}
