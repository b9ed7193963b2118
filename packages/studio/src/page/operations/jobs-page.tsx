import { useState, type ReactElement } from "react";
import { useStudio } from "../context.ts";
import { Badge, Choice, Empty, Json, Problem, Time } from "../parts.tsx";
import { useAction, useLoaded } from "../use-loaded.ts";

const STATUSES = ["pending", "running", "retrying", "completed", "dead", "cancelled"] as const;

interface Job {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly queue: string;
  readonly payload: unknown;
  readonly retry_count: number;
  readonly max_retries: number;
  readonly created_at: string;
  readonly due_at: string | null;
  readonly error: string | null;
  readonly progress: unknown;
}

/** The jobs that are shown of a status. */
const MAX_JOBS = 100;

/** The jobs by status, with actions, and the crons. */
export function JobsPage(): ReactElement {
  const [status, setStatus] = useState("");
  const stats = useLoaded<Readonly<Record<string, unknown>>>("/api/jobs/stats");
  const jobs = useLoaded<readonly Job[]>(
    `/api/jobs?limit=${MAX_JOBS}${status === "" ? "" : `&status=${status}`}`,
  );
  return (
    <section>
      <h1>Jobs and crons</h1>
      <Choice
        label="Status"
        values={["", ...STATUSES]}
        chosen={status}
        textOf={(each) => (each === "" ? "all" : `${each} ${String(stats.data?.[each] ?? "")}`)}
        onChoose={setStatus}
      />
      <Problem error={jobs.error} />
      {jobs.data?.length === 0 && <Empty>No jobs.</Empty>}
      {jobs.data?.map((job) => (
        <JobEntry key={job.id} job={job} onChanged={jobs.reload} />
      ))}
      {jobs.data?.length === MAX_JOBS && <Empty>Only the newest {MAX_JOBS} are shown.</Empty>}
      <Crons />
    </section>
  );
}

interface JobEntryProps {
  readonly job: Job;
  readonly onChanged: () => void;
}

function JobEntry({ job, onChanged }: JobEntryProps): ReactElement {
  const { api } = useStudio();
  const { isRunning, error, run } = useAction();
  const act = (method: "POST" | "DELETE", path: string): void =>
    run(() => api.send(method, path).then(onChanged));
  const isOver = job.status === "completed" || job.status === "cancelled";
  return (
    <details className="entry">
      <summary>
        <Badge>{job.status}</Badge>
        <strong>{job.name}</strong>
        <span>{job.queue}</span>
        <span>
          {job.retry_count} of {job.max_retries} retries
        </span>
        <Time at={job.created_at} />
      </summary>
      {job.error !== null && <p className="problem">{job.error}</p>}
      {job.due_at !== null && !isOver && (
        <p>
          Due at <Time at={job.due_at} />
        </p>
      )}
      <Json value={job.payload} />
      {job.progress !== null && <Json value={job.progress} />}
      {job.status === "dead" && (
        <button
          type="button"
          disabled={isRunning}
          onClick={() => act("POST", `/api/jobs/dead/${encodeURIComponent(job.id)}/retry`)}
        >
          Retry
        </button>
      )}
      {!isOver && job.status !== "dead" && (
        <button
          type="button"
          disabled={isRunning}
          onClick={() => act("DELETE", `/api/jobs/${encodeURIComponent(job.id)}`)}
        >
          Cancel
        </button>
      )}
      <Problem error={error} />
    </details>
  );
}

interface Cron {
  readonly name: string;
  readonly schedule: string;
  readonly timezone: string;
  readonly function: string;
  readonly last_run: string | null;
  readonly next_run: string | null;
}

function Crons(): ReactElement {
  const { data, error, reload } = useLoaded<readonly Cron[]>("/api/scheduler");
  return (
    <>
      <h2>Crons</h2>
      <Problem error={error} />
      {data?.length === 0 && <Empty>The app has no crons.</Empty>}
      {data?.map((cron) => (
        <CronEntry key={cron.name} cron={cron} onCalled={reload} />
      ))}
    </>
  );
}

interface CronEntryProps {
  readonly cron: Cron;
  readonly onCalled: () => void;
}

function CronEntry({ cron, onCalled }: CronEntryProps): ReactElement {
  const { api } = useStudio();
  const { isRunning, error, run } = useAction();
  const path = `/api/scheduler/trigger/${encodeURIComponent(cron.name)}`;
  return (
    <div className="entry row">
      <strong>{cron.name}</strong>
      <code>
        {cron.schedule} {cron.timezone}
      </code>
      <span>calls {cron.function}</span>
      <span>
        next <Time at={cron.next_run} />
      </span>
      <button
        type="button"
        disabled={isRunning}
        onClick={() => run(() => api.send("POST", path).then(onCalled))}
      >
        Call now
      </button>
      <Problem error={error} />
    </div>
  );
}
