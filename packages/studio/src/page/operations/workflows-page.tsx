import { useState, type ReactElement } from "react";
import { useStudio } from "../context.ts";
import { durationText } from "../format.ts";
import { Badge, Choice, Empty, Json, Problem, Time } from "../parts.tsx";
import { hrefOf } from "../route.ts";
import { useAction, useLoaded } from "../use-loaded.ts";

interface Step {
  readonly step_id: string;
  readonly name: string;
  readonly kind: string;
  readonly status: string;
  readonly output: unknown;
  readonly error: string | null;
  readonly duration_ms: number | null;
}

interface Run {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly input: unknown;
  readonly state: unknown;
  readonly output: unknown;
  readonly error: string | null;
  readonly created_at: string;
  readonly waiting_for: string | null;
  readonly steps: readonly Step[];
}

/** States after which a run does not continue. */
const OVER = ["Completed", "Failed", "Cancelled"];

/** The states by which the runs can be listed. */
const STATUSES = [
  "pending",
  "running",
  "sleeping",
  "waiting",
  "completed",
  "failed",
  "cancelled",
] as const;
/** The runs that are listed of a state. */
const MAX_RUNS = 50;

/** The runs of workflows, and the steps of one. */
export function WorkflowsPage({ id }: { readonly id: string | null }): ReactElement {
  const [status, setStatus] = useState("");
  const runs = useLoaded<readonly Run[]>(
    `/api/workflows?limit=${MAX_RUNS}${status === "" ? "" : `&status=${status}`}`,
  );
  return (
    <section>
      <h1>Workflows</h1>
      <Choice
        label="Status"
        values={["", ...STATUSES]}
        chosen={status}
        textOf={(each) => (each === "" ? "all" : each)}
        onChoose={setStatus}
      />
      <Problem error={runs.error} />
      {runs.data?.length === 0 && <Empty>No runs.</Empty>}
      <div className="split">
        <div>
          <RunList runs={runs.data ?? []} chosen={id} />
        </div>
        <div>{id === null ? <Empty>Choose a run.</Empty> : <ChosenRun key={id} id={id} />}</div>
      </div>
    </section>
  );
}

interface RunListProps {
  readonly runs: readonly Run[];
  /** The id of the run that is shown. */
  readonly chosen: string | null;
}

function RunList({ runs, chosen }: RunListProps): ReactElement {
  return (
    <>
      <ul className="list">
        {runs.map((run) => (
          <li key={run.id}>
            <a
              href={hrefOf({ section: "workflows", name: run.id })}
              aria-current={run.id === chosen ? "page" : undefined}
            >
              <Badge>{run.status}</Badge> {run.name} <small>{run.id.slice(-8)}</small>
            </a>
          </li>
        ))}
      </ul>
      {runs.length === MAX_RUNS && <Empty>Only the newest {MAX_RUNS} are shown.</Empty>}
    </>
  );
}

/** The list has only the newest runs; an address may name any. */
function ChosenRun({ id }: { readonly id: string }): ReactElement {
  const { data, error, reload } = useLoaded<Run>(`/api/workflows/${encodeURIComponent(id)}`);
  return (
    <>
      <Problem error={error} />
      {data !== undefined && <RunDetails run={data} onChanged={reload} />}
    </>
  );
}

interface RunDetailsProps {
  readonly run: Run;
  readonly onChanged: () => void;
}

function RunDetails({ run: chosen, onChanged }: RunDetailsProps): ReactElement {
  const { api } = useStudio();
  const { isRunning, error, run } = useAction();
  const act = (action: "cancel" | "retry"): void =>
    run(() =>
      api.send("POST", `/api/workflows/${encodeURIComponent(chosen.id)}/${action}`).then(onChanged),
    );
  return (
    <>
      <h2>
        {chosen.name} <Badge>{chosen.status}</Badge>
      </h2>
      <p className="id">
        {chosen.id}, started <Time at={chosen.created_at} />
      </p>
      {chosen.error !== null && <p className="problem">{chosen.error}</p>}
      {chosen.waiting_for !== null && <p>It waits for the event {chosen.waiting_for}.</p>}
      <ol className="steps">
        {chosen.steps.map((step) => (
          <li key={step.step_id}>
            <Badge>{step.status}</Badge> {step.name} <small>{step.kind}</small>{" "}
            {step.duration_ms !== null && <small>{durationText(step.duration_ms)}</small>}
            {step.error !== null && <p className="problem">{step.error}</p>}
            {step.output !== null && <Json value={step.output} />}
          </li>
        ))}
      </ol>
      <h3>Input</h3>
      <Json value={chosen.input} />
      {chosen.state !== null && (
        <>
          <h3>State</h3>
          <Json value={chosen.state} />
        </>
      )}
      {chosen.output !== null && (
        <>
          <h3>Output</h3>
          <Json value={chosen.output} />
        </>
      )}
      <footer>
        {!OVER.includes(chosen.status) && (
          <button type="button" disabled={isRunning} onClick={() => act("cancel")}>
            Cancel
          </button>
        )}
        {chosen.status === "Failed" && (
          <button type="button" disabled={isRunning} onClick={() => act("retry")}>
            Retry
          </button>
        )}
      </footer>
      <Problem error={error} />
    </>
  );
}
