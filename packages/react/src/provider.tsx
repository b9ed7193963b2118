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
 * Provides an engine to the hooks below it. Required only for server rendering; otherwise use
 * `init`.
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
  // Later changes of the props are ignored: the running engine checks the session itself.
  const [engine] = useState(() => provideEngine(config));
  useEffect(() => {
    engine.start();
    return () => engine.stop();
  }, [engine]);
  return <EngineContext value={engine}>{children}</EngineContext>;
}

/**
 * Returns the engine of the nearest provider, or the app's.
 *
 * @param given an engine to return instead, for components with an engine prop
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
