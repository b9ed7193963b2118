import type { SyncEngine } from "@pylonsync/sync";
import {
  createComponent,
  createContext,
  onCleanup,
  onMount,
  useContext,
  type JSX,
  type ParentProps,
} from "solid-js";

const EngineContext = createContext<SyncEngine>();

/** Props of `PylonProvider`. */
export interface PylonProviderProps extends ParentProps {
  readonly engine: SyncEngine;
}

/**
 * Provides an engine to the components below it, and runs it while it is mounted.
 *
 * @example
 * const engine = createSyncEngine("https://api.example.com");
 * const app = () => PylonProvider({ engine, children: "the app" });
 */
export function PylonProvider(props: PylonProviderProps): JSX.Element {
  const { engine } = props;
  onMount(() => engine.start());
  onCleanup(() => engine.stop());
  return createComponent(EngineContext.Provider, {
    value: engine,
    get children() {
      return props.children;
    },
  });
}

/**
 * Returns the engine of the nearest provider.
 *
 * @throws Error without a provider
 * @example
 * const engine = useEngine();
 * await engine.insert("Todo", { title: "milk" });
 */
export function useEngine(): SyncEngine {
  const engine = useContext(EngineContext);
  if (engine === undefined)
    throw new Error("No Pylon engine is provided: wrap the component in a PylonProvider.");
  return engine;
}
