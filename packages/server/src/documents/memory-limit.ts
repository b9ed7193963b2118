const PAGE_BYTES = 64 * 1024;
/** Magic number and version. */
const HEADER_BYTES = 8;
const MEMORY_SECTION = 5;
/** The number of memories of a module, and the flag of one that has a maximum. */
const ONE = 1;
const HAS_MAXIMUM = 1;

/**
 * Limits the memory of each WebAssembly module that this process compiles from now on: a module
 * that needs more fails. Without a limit it could use 4 GiB.
 */
export function limitMemory(bytes: number): void {
  WebAssembly.Module = class extends WebAssembly.Module {
    constructor(source: BufferSource) {
      super(withMaximum(bytesOf(source), bytes));
    }
  };
}

/**
 * Returns the module with a maximum for its memory.
 *
 * @throws Error if it has no memory of its own
 */
export function withMaximum(module: Uint8Array, maxBytes: number): Uint8Array<ArrayBuffer> {
  for (let at = HEADER_BYTES; at < module.length;) {
    const size = numberAt(module, at + 1);
    const end = size.end + size.value;
    if (module[at] !== MEMORY_SECTION) {
      at = end;
      continue;
    }
    const minimum = numberAt(module, size.end + 2).value;
    const content = [
      ONE,
      HAS_MAXIMUM,
      ...encoded(minimum),
      ...encoded(Math.floor(maxBytes / PAGE_BYTES)),
    ];
    return Uint8Array.from(
      Buffer.concat([
        module.subarray(0, at),
        Uint8Array.from([MEMORY_SECTION, ...encoded(content.length), ...content]),
        module.subarray(end),
      ]),
    );
  }
  throw new Error("The module has no memory.");
}

function bytesOf(source: BufferSource): Uint8Array {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
}

/** A number in LEB128: seven bits per byte, the lowest first. */
function numberAt(
  bytes: Uint8Array,
  start: number,
): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let at = start, factor = 1; ; at += 1, factor *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * factor;
    if (byte < 128) return { value, end: at + 1 };
  }
}

function encoded(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...encoded(Math.floor(value / 128))];
}
