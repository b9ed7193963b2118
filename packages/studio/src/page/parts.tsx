import { useMemo, type ReactElement, type ReactNode } from "react";
import { ApiError } from "./api.ts";
import { jsonText, timeTexts } from "./format.ts";

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
const TONES: ReadonlyMap<string, string> = new Map([
  ["completed", "good"],
  ["ok", "good"],
  ["allowed", "good"],
  ["dead", "bad"],
  ["failed", "bad"],
  ["error", "bad"],
  ["refused", "bad"],
  ["warn", "warn"],
  ["retrying", "warn"],
  ["running", "busy"],
  ["waitingforevent", "busy"],
  ["sleeping", "busy"],
]);

/** A status, with a colour for its meaning. */
export function Badge({ children }: { readonly children: string }): ReactElement {
  return <span className={`badge ${TONES.get(children.toLowerCase()) ?? ""}`}>{children}</span>;
}

/** A time, in the reader's time zone. */
export function Time({ at }: { readonly at: string | number | null }): ReactElement | null {
  if (at === null || at === "") return null;
  const { iso, local } = timeTexts(at);
  return (
    <time dateTime={iso} title={iso}>
      {local}
    </time>
  );
}

/** A value as formatted JSON. */
export function Json({ value }: { readonly value: unknown }): ReactElement {
  const text = useMemo(() => jsonText(value), [value]);
  return <pre className="json">{text}</pre>;
}

interface ChoiceProps<T extends string> {
  /** What is chosen, for screen readers. */
  readonly label: string;
  readonly values: readonly T[];
  readonly chosen: T;
  /** The text of each value; default: the value. */
  readonly textOf?: (value: T) => string;
  readonly onChoose: (value: T) => void;
}

/** Buttons of which one is chosen. */
export function Choice<T extends string>({
  label,
  values,
  chosen,
  textOf = (value) => value,
  onChoose,
}: ChoiceProps<T>): ReactElement {
  return (
    <div className="tabs" role="group" aria-label={label}>
      {values.map((value) => (
        <button
          key={value}
          type="button"
          aria-pressed={chosen === value}
          onClick={() => onChoose(value)}
        >
          {textOf(value)}
        </button>
      ))}
    </div>
  );
}
