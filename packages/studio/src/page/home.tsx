import { useEffect, useState, type ReactElement } from "react";
import { useStudio } from "./context.ts";
import { countEach, PACES } from "./counts.ts";
import { Empty } from "./parts.tsx";
import { poll } from "./poll.ts";
import { hrefOf } from "./route.ts";
import { useLoaded } from "./use-loaded.ts";

/** The pause before the rows are counted again. */
const DEV_PAUSE_MS = 2_000;

/** An overview: the number of rows of each entity, and the state of the server's parts. */
export function Home(): ReactElement {
  const { app, hasMailbox, isDev } = useStudio();
  const counts = useCounts();
  return (
    <section>
      <h1>
        {app.name} <small>{app.version}</small>
      </h1>
      <h2>Rows</h2>
      {app.entities.length === 0 && (
        <Empty>
          The app has no entities. Declare them in <code>app.ts</code>.
        </Empty>
      )}
      <div className="cards">
        {app.entities.map(({ name }) => (
          <EntityCard key={name} name={name} count={counts.get(name)} />
        ))}
      </div>
      <Health />
      <h2>Pages</h2>
      <p className="links">
        <a href="/" target="_blank">
          The app
        </a>
        {hasMailbox && (
          <a href="/studio/mail" target="_blank">
            Emails sent in dev mode
          </a>
        )}
        {isDev && (
          <a href="/api/manifest" target="_blank">
            Manifest
          </a>
        )}
      </p>
    </section>
  );
}

type Counts = ReadonlyMap<string, number | Error>;

/** Counts the rows of each entity: in dev mode again and again, in production once. */
function useCounts(): Counts {
  const { api, app, isDev } = useStudio();
  const [counts, setCounts] = useState<Counts>(new Map());
  useEffect(() => {
    const abort = new AbortController();
    const names = app.entities.map(({ name }) => name);
    const count = async (name: string): Promise<number> => {
      const { rows } = await api.send<{ readonly rows: readonly { readonly count: number }[] }>(
        "POST",
        `/api/aggregate/${encodeURIComponent(name)}`,
        { count: true },
      );
      return rows[0]?.count ?? 0;
    };
    const load = (): Promise<void> =>
      countEach(
        names,
        count,
        (name, result) => setCounts((before) => new Map(before).set(name, result)),
        abort.signal,
        isDev ? PACES.dev : PACES.production,
      );
    const stop = isDev ? poll(load, DEV_PAUSE_MS) : undefined;
    if (stop === undefined) void load();
    return () => {
      stop?.();
      abort.abort();
    };
  }, [api, app, isDev]);
  return counts;
}

interface EntityCardProps {
  readonly name: string;
  /** Undefined while it is counted. */
  readonly count: number | Error | undefined;
}

function EntityCard({ name, count }: EntityCardProps): ReactElement {
  return (
    <a
      className="card"
      href={hrefOf({ section: "data", entity: name, query: new URLSearchParams() })}
      title={count instanceof Error ? count.message : undefined}
    >
      <strong>{count instanceof Error ? "?" : (count?.toLocaleString() ?? "…")}</strong>
      {name}
    </a>
  );
}

interface HealthReport {
  readonly status: string;
  readonly parts: Readonly<Record<string, string>>;
}

function Health(): ReactElement | null {
  const { data } = useLoaded<HealthReport>("/readyz");
  if (data === undefined) return null;
  return (
    <>
      <h2>Health</h2>
      <p className="links">
        {Object.entries(data.parts).map(([part, state]) => (
          <span key={part}>
            <span className="dot" data-state={state === "up" ? "live" : "offline"} /> {part}:{" "}
            {state}
          </span>
        ))}
      </p>
    </>
  );
}
