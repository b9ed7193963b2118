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

/** Props of `EngineProvider`: the engine's settings. */
export interface EngineProviderProps extends Partial<SyncEngineConfig> {
  readonly children: ReactNode;
}

/**
 * Provides an engine to the hooks below it. Needed only where a server renders the page; elsewhere
 * call `init`.
 *
 * @example
 * function Root() {
 *   return (
 *     <EngineProvider baseUrl="https://api.example.com" credentials="cookie">
 *       <SignIn />
 *     </EngineProvider>
 *   );
 * }
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

/**
 * The engine of the provider above, else the app's.
 *
 * @param given returned as it is, where a component takes an engine as a prop
 * @example
 * function Presence() {
 *   const engine = useEngine();
 *   return <button onClick={() => engine.setPresence({ isBusy: true })}>Busy</button>;
 * }
 */
export function useEngine(given?: SyncEngine): SyncEngine {
  const provided = use(EngineContext);
  const known = given ?? provided;
  return useMemo(() => known ?? engineForRender(), [known]);
}
