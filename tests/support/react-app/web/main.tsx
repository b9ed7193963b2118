// A page for each of the properties of @pylonsync/react that only a browser can show.
import {
  EngineProvider,
  useEngine,
  useMutation,
  useQuery,
  useStatus,
  useSuspenseFunction,
} from "@pylonsync/react";
import type { SyncEngine } from "@pylonsync/sync";
import { Component, Suspense, useState, type ReactElement, type ReactNode } from "react";
import { flushSync } from "react-dom";
import { createRoot, hydrateRoot } from "react-dom/client";
import { PreloadedPage, type PreloadedProps } from "../preloaded.tsx";

interface Item {
  readonly id: string;
  readonly rank: number;
}

declare global {
  interface Window {
    /** The number of renders of each shelf. */
    renders: number[];
    engine?: SyncEngine;
    flushSync?: typeof flushSync;
    /** What the page of a server was rendered with. */
    preloaded?: PreloadedProps;
  }
}
window.renders = [];
window.flushSync = flushSync;

const params = new URLSearchParams(location.search);
const SHELVES = 100;

function Shelf({ shelf }: { readonly shelf: number }): ReactNode {
  const { data, isComplete } = useQuery<Item>(useEngine(), "Item", { where: { shelf } });
  window.renders[shelf] = (window.renders[shelf] ?? 0) + 1;
  return <li>{isComplete ? data.map(({ rank }) => rank).join() : "waits"}</li>;
}

function Shelves(): ReactNode {
  window.engine = useEngine();
  return Array.from({ length: SHELVES }, (_, shelf) => <Shelf key={shelf} shelf={shelf} />);
}

class Boundary extends Component<{ readonly children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };
  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }
  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <button onClick={() => this.setState({ error: null })}>{error.message}</button>;
  }
}

function Count({ shelf }: { readonly shelf: number }): ReactNode {
  const { data } = useSuspenseFunction<number>("count", { shelf });
  return <output>{`${data} on shelf ${shelf}`}</output>;
}

function Counts(): ReactElement {
  const [shelf, setShelf] = useState(0);
  return (
    <>
      <button onClick={() => setShelf(77)}>Next</button>
      <Boundary>
        <Suspense fallback={<output>Loading</output>}>
          <Count shelf={shelf} />
        </Suspense>
      </Boundary>
    </>
  );
}

function Move(): ReactElement {
  const engine = useEngine();
  const { connection } = useStatus(engine);
  const { data: here } = useQuery<Item>(engine, "Item", { where: { shelf: 1 } });
  const { data: there } = useQuery<Item>(engine, "Item", { where: { shelf: 200 } });
  const idsOf = (items: readonly Item[]): string => items.map(({ id }) => id).join();
  const move = useMutation<{ id: string; shelf: number }>(engine, "move").withOptimistic(
    (store, { id, shelf }) => store.update("Item", id, { shelf }),
  );
  return (
    <main data-connection={connection}>
      <button onClick={() => void move.mutate({ id: "item-1", shelf: 200 })}>Move</button>
      <output>{`${idsOf(here)} > ${idsOf(there)}`}</output>
      <p role="alert">{move.error?.message}</p>
    </main>
  );
}

const PAGES: Readonly<Record<string, () => ReactNode>> = {
  "/shelves": Shelves,
  "/counts": Counts,
  "/move": Move,
};
const root = document.querySelector("#root");
const Page = PAGES[location.pathname];
if (root !== null && window.preloaded !== undefined)
  hydrateRoot(root, <PreloadedPage {...window.preloaded} />, {
    onRecoverableError: (error) => console.error(error),
  });
else if (root !== null && Page !== undefined)
  createRoot(root, { onCaughtError: () => undefined }).render(
    <EngineProvider
      baseUrl={location.origin}
      persist={false}
      sync={params.get("sync") === "all" ? "all" : "queries"}
      token={params.get("token") ?? ""}
    >
      <Page />
    </EngineProvider>,
  );
