/**
 * Tells work that its result is no longer needed: the parts of an AbortSignal that the server uses.
 * An AbortSignal costs more than a small read, so a call's deadline has these parts itself.
 */
export interface Cancellation {
  readonly aborted: boolean;
  /** What the work rejects with, once `aborted`. */
  readonly reason: unknown;
  /** @throws the reason, once `aborted` */
  throwIfAborted(): void;
  addEventListener(
    type: "abort",
    listener: () => void,
    options?: { readonly once?: boolean },
  ): void;
  removeEventListener(type: "abort", listener: () => void): void;
}
