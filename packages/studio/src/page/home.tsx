import { useAggregate } from "@pylonsync/react";
import type { ReactElement } from "react";
import { useStudio } from "./context.ts";
import { Empty } from "./parts.tsx";
import { hrefOf } from "./route.ts";
import { useLoaded } from "./use-loaded.ts";

/** An overview: the number of rows of each entity, and the state of the server's parts. */
export function Home(): ReactElement {
  const { app, hasMailbox, isDev } = useStudio();
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
          <EntityCard key={name} name={name} />
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
            Mails that dev mode has kept
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

function EntityCard({ name }: { readonly name: string }): ReactElement {
  const { engine } = useStudio();
  const { data } = useAggregate<{ readonly count: number }>(engine, name, { count: true });
  return (
    <a
      className="card"
      href={hrefOf({ section: "data", entity: name, query: new URLSearchParams() })}
    >
      <strong>{data?.[0]?.count.toLocaleString() ?? "…"}</strong>
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
