/** The texts of a document, by field. */
export type DocumentTexts = Readonly<Record<string, string>>;

/** A document as it is stored: a snapshot, then the updates after it. */
export type DocumentBytes = readonly Uint8Array[];

/** What a process that merges documents is asked to do. */
export interface MergeRequest {
  /** The state of the document before; null for a new document. */
  readonly state: string | null;
  /** The document in that state; absent if the process may still have it. */
  readonly parts?: DocumentBytes | undefined;
  /** The name of the state after. */
  readonly nextState: string;
  /** The texts of the row, to which the document is brought first. */
  readonly texts: DocumentTexts;
  /** Changes of a client, applied afterwards. */
  readonly update: Uint8Array | null;
  /** The maximum number of characters of all texts. */
  readonly maxLength: number;
  /** Whether a snapshot of the document is needed. */
  readonly needsSnapshot: boolean;
  /** The maximum size of the snapshot, in bytes: above it the history is dropped. */
  readonly maxBytes: number;
}

/** The result of a merge. */
export interface Merged {
  /** What the document did not contain before; null if nothing. */
  readonly changes: Uint8Array | null;
  readonly texts: DocumentTexts;
  /** The fields that the client's update changed, even if their text is the same. */
  readonly touched: readonly string[];
  /** The document with its history, if it was requested. */
  readonly snapshot: Uint8Array | null;
}

/** Why an update of a client is rejected. */
export type MergeRefusal =
  | { readonly kind: "malformed" }
  /** It is based on changes that the document does not have. */
  | { readonly kind: "incomplete" }
  /** It changes something else than the texts. */
  | { readonly kind: "foreign"; readonly key: string }
  | { readonly kind: "too-large" };

/** The response of the process. */
export type MergeAnswer =
  | { readonly kind: "merged"; readonly merged: Merged }
  | { readonly kind: "refused"; readonly refusal: MergeRefusal }
  /** The process does not have the document in this state. */
  | { readonly kind: "unknown" }
  /** The library has failed, and must not be used again in this process. */
  | { readonly kind: "failed"; readonly message: string };

/** A message of the process: once that it is ready, then a response to each request. */
export type MergeMessage = "ready" | (MergeAnswer & { readonly memoryBytes: number });
