import type { ReactElement } from "react";
import { durationText } from "../format.ts";
import { Badge, Empty, Problem, Time } from "../parts.tsx";
import { useLoaded } from "../use-loaded.ts";

interface Trace {
  readonly call_id: string;
  readonly fn_name: string;
  readonly user_id: string | null;
  readonly started_at: number;
  readonly duration_ms: number;
  readonly outcome: { readonly status: string; readonly code?: string; readonly message?: string };
  readonly ops: readonly {
    readonly op: string;
    readonly entity?: string;
    readonly id?: string;
    readonly duration_ms: number;
    readonly ok: boolean;
  }[];
  readonly console: readonly { readonly level: string; readonly text: string }[];
}

/** The latest calls on this replica, with their database operations and printed lines. */
export function TraceList({ name }: { readonly name: string | null }): ReactElement {
  const { data, error } = useLoaded<readonly Trace[]>("/api/fn/traces?limit=100");
  const traces = data?.filter(({ fn_name }) => name === null || fn_name === name);
  return (
    <>
      <h2>{name === null ? "Latest calls" : `Latest calls of ${name}`}</h2>
      <Problem error={error} />
      {traces?.length === 0 && <Empty>No calls since the server has started.</Empty>}
      {traces?.map((trace) => (
        <details key={trace.call_id} className="entry">
          <summary>
            <Badge>{trace.outcome.status}</Badge>
            <strong>{trace.fn_name}</strong>
            <span>{durationText(trace.duration_ms)}</span>
            <span>{trace.user_id === null ? "no user" : `user ${trace.user_id.slice(-8)}`}</span>
            <Time at={trace.started_at} />
          </summary>
          {trace.outcome.message !== undefined && (
            <p className="problem">
              <code>{trace.outcome.code}</code> {trace.outcome.message}
            </p>
          )}
          <ol className="ops">
            {trace.ops.map(({ op, entity, id, duration_ms }, index) => (
              <li key={index}>
                <code>
                  {op} {entity} {id}
                </code>{" "}
                {durationText(duration_ms)}
              </li>
            ))}
          </ol>
          {trace.console.map(({ level, text }, index) => (
            <pre key={index} className="json">
              {level}: {text}
            </pre>
          ))}
        </details>
      ))}
    </>
  );
}
