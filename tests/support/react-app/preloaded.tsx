// The page that a server renders, and a browser hydrates.
import { EngineProvider, useEngine, usePreloadedQuery, type Preloaded } from "@pylonsync/react";
import type { ResolvedSession } from "@pylonsync/sync";
import type { ReactElement } from "react";

/** Rows of the page; the app's types are not registered here. */
export type Items = Preloaded<"Item">;

function List({ preloaded }: { readonly preloaded: Items }): ReactElement {
  const { data, isComplete } = usePreloadedQuery(preloaded, useEngine());
  return (
    <output data-complete={isComplete}>
      {data.map(({ id, rank }) => `${id}:${String(rank)}`).join(" ")}
    </output>
  );
}

/** What the page is rendered with, for the user who has requested it. */
export interface PreloadedProps {
  readonly baseUrl: string;
  readonly token: string;
  readonly session: ResolvedSession;
  readonly preloaded: Items;
}

export function PreloadedPage(given: PreloadedProps): ReactElement {
  const { baseUrl, token, session, preloaded } = given;
  return (
    <EngineProvider
      baseUrl={baseUrl}
      token={token}
      session={session}
      persist={false}
      sync="queries"
      appName="preloaded"
    >
      <List preloaded={preloaded} />
    </EngineProvider>
  );
}
