/**
 * The names that apps of the public system import for collaborative editing. Frames are
 * implemented; documents are not part of Pylon yet, and throw when they are used.
 *
 * @module
 */
export {
  detachLoro,
  getLoroMap,
  getLoroText,
  globalRegistry,
  LoroRegistry,
  useCollabText,
  useLoroDoc,
} from "./documents.ts";
export {
  CRDT_FRAME_SNAPSHOT,
  CRDT_FRAME_UPDATE,
  decodeCrdtFrame,
  encodeCrdtFrame,
  type CrdtFrame,
} from "./frame.ts";
