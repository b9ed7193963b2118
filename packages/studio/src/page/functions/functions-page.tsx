import type { ReactElement } from "react";
import { Badge, Empty, Problem } from "../parts.tsx";
import { hrefOf } from "../route.ts";
import { useLoaded } from "../use-loaded.ts";
import { CallForm } from "./call-form.tsx";
import type { ArgSchema } from "./example-args.ts";
import { HttpList } from "./http-list.tsx";
import { TraceList } from "./trace-list.tsx";

/** A function of the app, as `GET /api/fn` describes it. */
export interface FunctionInfo {
  readonly name: string;
  readonly fn_type: string;
  /** Absent for a function that does not declare its arguments. */
  readonly args_schema?: Readonly<Record<string, ArgSchema>>;
  /** Whether only the server and the admin may call it. */
  readonly internal?: boolean;
}

/** The app's functions: call one, and see the latest calls. */
export function FunctionsPage({ name }: { readonly name: string | null }): ReactElement {
  const { data: functions, error } = useLoaded<readonly FunctionInfo[]>("/api/fn");
  const chosen = functions?.find((candidate) => candidate.name === name);
  return (
    <section>
      <h1>Functions</h1>
      <Problem error={error} />
      {functions?.length === 0 && (
        <Empty>
          None yet. A file in <code>functions/</code> creates one.
        </Empty>
      )}
      <div className="split">
        <ul className="list">
          {functions?.map((info) => (
            <li key={info.name}>
              <a
                href={hrefOf({ section: "functions", name: info.name })}
                aria-current={info.name === name ? "page" : undefined}
              >
                {info.name} <Badge>{info.fn_type}</Badge>
                {info.internal === true && <small> internal</small>}
              </a>
            </li>
          ))}
        </ul>
        <div>
          {chosen === undefined ? (
            <Empty>
              {functions !== undefined && name !== null
                ? `The app has no function ${name}.`
                : "Choose a function to call it."}
            </Empty>
          ) : (
            <CallForm key={chosen.name} info={chosen} />
          )}
        </div>
      </div>
      {name === null && <HttpList />}
      <TraceList name={name} />
    </section>
  );
}
