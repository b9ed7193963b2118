import type { SyncEngine, SyncEngineConfig } from "@pylonsync/sync";
import {
  createContext,
  use,
  useEffect,
  useMemo,
  useState,
  type ReactElement,
  type ReactNode,
} from "react";
import { engineForRender, provideEngine } from "./client.ts";

const EngineContext = createContext<SyncEngine | null>(null);

export interface EngineProviderProps extends Partial<SyncEngineConfig> {
  readonly children: ReactNode;
}

/**
 * Gives the app's engine to the hooks below it. Only where a server renders the page is it needed:
 * elsewhere `init` will do.
 *
 * @example <EngineProvider baseUrl={url} credentials="cookie"
 *   session={sessionOfTheRequest}>{children}</EngineProvider>
 */
export function EngineProvider({ children, ...config }: EngineProviderProps): ReactElement {
  // Later values are for a page that is there already: the engine itself asks who is signed in.
  const [engine] = useState(() => provideEngine(config));
  useEffect(() => {
    engine.start();
    return () => engine.stop();
  }, [engine]);
  return <EngineContext value={engine}>{children}</EngineContext>;
}

/** The engine of the provider above, else the app's. */
export function useEngine(given?: SyncEngine): SyncEngine {
  const provided = use(EngineContext);
  const known = given ?? provided;
  return useMemo(() => known ?? engineForRender(), [known]);
}
