/** The type of a frame that contains a whole document. */
export const CRDT_FRAME_SNAPSHOT = 0x10;
/** The type of a frame that contains changes of a document. */
export const CRDT_FRAME_UPDATE = 0x11;

/** A binary message about the document of a row. */
export interface CrdtFrame {
  readonly type: typeof CRDT_FRAME_SNAPSHOT | typeof CRDT_FRAME_UPDATE;
  readonly entity: string;
  readonly rowId: string;
  /** In Loro's export format. */
  readonly payload: Uint8Array;
}

const MAX_NAME_BYTES = 0xffff;

/**
 * Encodes a frame: one byte for the type, then the entity and the row's id in UTF-8, each preceded
 * by its length in two bytes, then the payload.
 *
 * @throws RangeError for a name that exceeds the length field
 *
 * @example
 * const note = { entity: "Note", rowId: "n1", payload: new Uint8Array() };
 * console.log(encodeCrdtFrame({ type: CRDT_FRAME_SNAPSHOT, ...note }).length);
 */
export function encodeCrdtFrame({ type, entity, rowId, payload }: CrdtFrame): Uint8Array {
  const parts = [nameBytes(entity), nameBytes(rowId), payload];
  const bytes = new Uint8Array(1 + parts.reduce((sum, { length }) => sum + length, 0));
  bytes[0] = type;
  let at = 1;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * Decodes a frame of `encodeCrdtFrame`.
 *
 * @returns null for invalid bytes
 *
 * @example
 * console.log(decodeCrdtFrame(new Uint8Array([0x10, 0, 1, 65, 0, 1, 66]))?.entity); // A
 */
export function decodeCrdtFrame(bytes: Uint8Array): CrdtFrame | null {
  const [type] = bytes;
  if (type !== CRDT_FRAME_SNAPSHOT && type !== CRDT_FRAME_UPDATE) return null;
  const entity = nameAt(bytes, 1);
  const rowId = entity === null ? null : nameAt(bytes, entity.end);
  if (entity === null || rowId === null) return null;
  return { type, entity: entity.name, rowId: rowId.name, payload: bytes.slice(rowId.end) };
}

function nameBytes(name: string): Uint8Array {
  const text = new TextEncoder().encode(name);
  if (text.length > MAX_NAME_BYTES) throw new RangeError("A name has at most 65,535 bytes.");
  return new Uint8Array([text.length >> 8, text.length & 0xff, ...text]);
}

interface NameAt {
  readonly name: string;
  /** The offset of the next part. */
  readonly end: number;
}

/** @returns null if the bytes end within the name, or are not UTF-8 */
function nameAt(bytes: Uint8Array, at: number): NameAt | null {
  const [high, low] = bytes.subarray(at, at + 2);
  if (high === undefined || low === undefined) return null;
  const end = at + 2 + high * 256 + low;
  if (end > bytes.length) return null;
  try {
    // A byte order mark is part of the name.
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return { name: decoder.decode(bytes.subarray(at + 2, end)), end };
  } catch {
    return null;
  }
}
