/** The first byte of a frame with a whole document. */
export const SNAPSHOT_FRAME = 0x10;
/** The first byte of a frame with changes of a document. */
export const UPDATE_FRAME = 0x11;

/** What a frame contains. */
export interface Frame {
  readonly type: typeof SNAPSHOT_FRAME | typeof UPDATE_FRAME;
  readonly entity: string;
  readonly rowId: string;
  /** In Loro's format. */
  readonly bytes: Uint8Array;
}

/**
 * Encodes a binary message about a document: its type, then the entity and the row's id, each
 * preceded by its length in two bytes, then the content.
 */
export function encodeFrame({ type, entity, rowId, bytes }: Frame): Uint8Array {
  const names = [entity, rowId].map((name) => Buffer.from(name));
  const head = names.flatMap((name) => [name.length >> 8, name.length & 0xff, ...name]);
  const frame = new Uint8Array(1 + head.length + bytes.length);
  frame[0] = type;
  frame.set(head, 1);
  frame.set(bytes, 1 + head.length);
  return frame;
}
