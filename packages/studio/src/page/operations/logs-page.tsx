import { useEffect, useState, type ReactElement } from "react";
import { useStudio } from "../context.ts";
import { Badge, Empty, Problem, Time } from "../parts.tsx";

const LEVELS = ["debug", "info", "warn", "error"] as const;
/** The newest lines that are shown. */
const MAX_LINES = 500;

interface Line {
  readonly time: string;
  readonly level: string;
  readonly message: string;
  readonly rest: Readonly<Record<string, unknown>>;
}

/** The log of this replica, live, newest first. */
export function LogsPage(): ReactElement {
  const [level, setLevel] = useState<string>("info");
  const { lines, error } = useLog(level);
  return (
    <section>
      <h1>Logs</h1>
      <div className="tabs" role="group" aria-label="Level">
        {LEVELS.map((each) => (
          <button
            key={each}
            type="button"
            aria-pressed={level === each}
            onClick={() => setLevel(each)}
          >
            {each}
          </button>
        ))}
      </div>
      <Problem error={error} />
      {lines.length === 0 && (
        <Empty>No lines yet. The server writes the levels that PYLON_LOG_LEVEL selects.</Empty>
      )}
      <ol className="log">
        {lines.map(({ time, level: own, message, rest }, index) => (
          <li key={lines.length - index}>
            <Time at={time} /> <Badge>{own}</Badge> {message}{" "}
            {Object.keys(rest).length > 0 && <code>{JSON.stringify(rest)}</code>}
          </li>
        ))}
      </ol>
    </section>
  );
}

function useLog(level: string): { readonly lines: readonly Line[]; readonly error: Error | null } {
  const { api } = useStudio();
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    setLines([]);
    setError(null);
    api
      .follow(`/api/admin/logs?follow=1&limit=100&level=${level}`, abort.signal, (text) =>
        setLines((before) => [lineOf(text), ...before].slice(0, MAX_LINES)),
      )
      .catch((problem: Error) => {
        if (!abort.signal.aborted) setError(problem);
      });
    return () => abort.abort();
  }, [api, level]);
  return { lines, error };
}

function lineOf(text: string): Line {
  const {
    time = "",
    level = "",
    message = "",
    ...rest
  }: Readonly<Record<string, string>> = JSON.parse(text);
  return { time, level, message, rest };
}
