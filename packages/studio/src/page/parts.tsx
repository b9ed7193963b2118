import type { ReactElement, ReactNode } from "react";
import { ApiError } from "./api.ts";

/** Shows why something failed, and what to do about it. */
export function Problem({ error }: { readonly error: Error | null }): ReactElement | null {
  if (error === null) return null;
  const hint = error instanceof ApiError ? error.hint : undefined;
  return (
    <p className="problem" role="alert">
      {error instanceof ApiError && <code>{error.code}</code>} {error.message} {hint}
    </p>
  );
}

/** Says that there is nothing to show, and how something gets there. */
export function Empty({ children }: { readonly children: ReactNode }): ReactElement {
  return <p className="empty">{children}</p>;
}

/** How a status is coloured. */
const TONES: Readonly<Record<string, string>> = {
  completed: "good",
  ok: "good",
  allowed: "good",
  dead: "bad",
  failed: "bad",
  error: "bad",
  refused: "bad",
  warn: "warn",
  retrying: "warn",
  running: "busy",
  waitingforevent: "busy",
  sleeping: "busy",
};

/** A status, with a colour for its meaning. */
export function Badge({ children }: { readonly children: string }): ReactElement {
  return <span className={`badge ${TONES[children.toLowerCase()] ?? ""}`}>{children}</span>;
}

/** A time, in the reader's time zone. */
export function Time({ at }: { readonly at: string | number | null }): ReactElement | null {
  if (at === null) return null;
  const date = new Date(at);
  return (
    <time dateTime={date.toISOString()} title={date.toISOString()}>
      {date.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" })}
    </time>
  );
}

/** A value as formatted JSON. */
export function Json({ value }: { readonly value: unknown }): ReactElement {
  return <pre className="json">{JSON.stringify(value, null, 2) ?? "undefined"}</pre>;
}

/** Formats a duration in milliseconds: `0.42 ms`, `31 ms`, `2.1 s`. */
export function durationText(ms: number): string {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
