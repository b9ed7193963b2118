import { useEffect, useState, type ReactElement } from "react";
import { useStudio } from "../context.ts";
import { followLines } from "../follow.ts";
import { Badge, Choice, Empty, Problem, Time } from "../parts.tsx";
import { LogLines, type LogLine } from "./log-lines.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
/** The log of this replica, live, newest first. */
export function LogsPage(): ReactElement {
  const [level, setLevel] = useState<string>("info");
  const { lines, error } = useLog(level);
  return (
    <section>
      <h1>Logs</h1>
      <Choice label="Level" values={LEVELS} chosen={level} onChoose={setLevel} />
      <Problem error={error} />
      {lines.length === 0 && (
        <Empty>No lines yet. The server writes the levels that PYLON_LOG_LEVEL selects.</Empty>
      )}
      <ol className="log">
        {lines.map(({ number, time, level: own, message, rest }) => (
          <li key={number}>
            <Time at={time} /> {own !== "" && <Badge>{own}</Badge>} {message}{" "}
            {rest !== "" && <code>{rest}</code>}
          </li>
        ))}
      </ol>
    </section>
  );
}

interface Log {
  /** Newest first. */
  readonly lines: readonly LogLine[];
  readonly error: Error | null;
}

function useLog(level: string): Log {
  const { api } = useStudio();
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const log = new LogLines();
    setLines([]);
    setError(null);
    const path = `/api/admin/logs?follow=1&limit=100&level=${level}`;
    void followLines(
      (onLine) => api.follow(path, abort.signal, onLine),
      {
        onStart: () => log.resume(),
        onLines: (texts) => {
          log.add(texts);
          setLines(log.lines);
        },
        onError: setError,
      },
      abort.signal,
    );
    return () => abort.abort();
  }, [api, level]);
  return { lines, error };
}
