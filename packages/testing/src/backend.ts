/** The operations of a test app, in this process or another: all values are JSON. */
export interface Backend {
  call(operation: Operation, args: readonly unknown[]): Promise<unknown>;
  close(): Promise<void>;
}

/** The supported operations. */
export type Operation =
  | "run"
  | "webhook"
  | "http"
  | "read"
  | "write"
  | "mayWrite"
  | "advance"
  | "now"
  | "mails"
  | "reset";

/** How an app is opened. */
export interface BackendOptions {
  readonly dir: string;
  readonly functionsDir?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now?: number | undefined;
}
