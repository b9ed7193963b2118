import { useStatus } from "@pylonsync/react";
import { useEffect, useMemo, useRef, useState, type ReactElement } from "react";
import { StudioContext, useStudio } from "./context.ts";
import { EntityPage } from "./data/entity-page.tsx";
import { ErrorBoundary } from "./error-boundary.tsx";
import { FunctionsPage } from "./functions/functions-page.tsx";
import { Home } from "./home.tsx";
import { JobsPage } from "./operations/jobs-page.tsx";
import { LogsPage } from "./operations/logs-page.tsx";
import { SchemaPage } from "./operations/schema-page.tsx";
import { WorkflowsPage } from "./operations/workflows-page.tsx";
import type { App } from "./model.ts";
import { hrefOf, parseRoute, SECTIONS, type Route, type Section } from "./route.ts";
import { UNSAVED } from "./unsaved.ts";
import { useLoaded } from "./use-loaded.ts";

const TITLES: Readonly<Record<Section, string>> = {
  functions: "Functions",
  jobs: "Jobs and crons",
  workflows: "Workflows",
  logs: "Logs",
  schema: "Schema and policies",
};

/** The whole page: navigation on the left, the chosen part on the right. */
export function Page(): ReactElement {
  const { isDev } = useStudio();
  return isDev ? <ReloadingPage /> : <FixedPage />;
}

function FixedPage(): ReactElement {
  const { app } = useStudio();
  const hash = useHash();
  const route = useMemo(() => parseRoute(hash), [hash]);
  useEffect(() => {
    document.title = `${app.name} Studio`;
  }, [app.name]);
  return (
    <div className="studio">
      <Navigation route={route} />
      <main>
        <ErrorBoundary place={hash}>
          <Content route={route} />
        </ErrorBoundary>
      </main>
    </div>
  );
}

/** In dev mode, the app changes with each saved file. */
function ReloadingPage(): ReactElement {
  const studio = useStudio();
  const { data } = useLoaded<App>("/api/manifest");
  const text = JSON.stringify(data ?? studio.app);
  const current = useMemo(() => {
    const app: App = JSON.parse(text);
    return { ...studio, app };
  }, [studio, text]);
  return (
    <StudioContext value={current}>
      <FixedPage />
    </StudioContext>
  );
}

function Content({ route }: { readonly route: Route }): ReactElement {
  switch (route.section) {
    case "home":
      return <Home />;
    case "data":
      return <EntityPage key={route.entity} name={route.entity} query={route.query} />;
    case "functions":
      return <FunctionsPage name={route.name} />;
    case "jobs":
      return <JobsPage />;
    case "workflows":
      return <WorkflowsPage id={route.name} />;
    case "logs":
      return <LogsPage />;
    default:
      return <SchemaPage />;
  }
}

function Navigation({ route }: { readonly route: Route }): ReactElement {
  const { app, engine } = useStudio();
  const { connection } = useStatus(engine);
  return (
    <nav aria-label="Studio">
      <a className="brand" href="#/">
        <span className="dot" data-state={connection} title={`Live connection: ${connection}`} />
        {app.name} <small>{app.version}</small>
      </a>
      <h2>Data</h2>
      <ul className="entities">
        {app.entities.map(({ name }) => {
          const isShown = route.section === "data" && route.entity === name;
          return (
            <li key={name}>
              <a
                href={hrefOf({ section: "data", entity: name, query: new URLSearchParams() })}
                aria-current={isShown ? "page" : undefined}
                ref={isShown ? scrollIntoSight : undefined}
              >
                {name}
              </a>
            </li>
          );
        })}
      </ul>
      <h2>Server</h2>
      <ul>
        {SECTIONS.map((section) => (
          <li key={section}>
            <a
              href={hrefOf({ section, name: null })}
              aria-current={route.section === section ? "page" : undefined}
            >
              {TITLES[section]}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** The list of entities may be longer than its place. */
function scrollIntoSight(link: HTMLElement | null): void {
  link?.scrollIntoView({ block: "nearest" });
}

/** The place in Studio. "Back" and links ask before they drop unsaved changes. */
function useHash(): string {
  const [hash, setHash] = useState(() => location.hash);
  const shown = useRef(hash);
  useEffect(() => {
    const follow = (): void => {
      const { hash: next } = location;
      if (UNSAVED.mayGo(shown.current, next)) {
        shown.current = next;
        setHash(next);
      } else history.pushState(null, "", shown.current);
    };
    follow();
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return hash;
}
