"use client";
/**
 * Collaborative text: fields that several people edit at once.
 *
 * @module
 */
export {
  CRDT_FRAME_SNAPSHOT,
  CRDT_FRAME_UPDATE,
  decodeCrdtFrame,
  encodeCrdtFrame,
  type CrdtFrame,
} from "@pylonsync/protocol";
export { getLoroMap, getLoroText } from "./containers.ts";
export { detachLoro } from "./engine-documents.ts";
export type { TextElement } from "./field-binding.ts";
export { globalRegistry, LoroRegistry, type CachedRow } from "./registry.ts";
export { useCollabText } from "./use-collab-text.ts";
export { useCollabTextarea, type CollabTextareaProps } from "./use-collab-textarea.ts";
export { useLoroDoc } from "./use-loro-doc.ts";
