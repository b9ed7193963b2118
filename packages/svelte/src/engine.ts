import type { SyncEngine } from "@pylonsync/sync";
import { getContext, onMount, setContext } from "svelte";

const ENGINE = Symbol("pylon");

/**
 * Provides an engine to this component and all below it, and runs it while the component is
 * mounted.
 *
 * @example
 * setEngine(createSyncEngine("https://api.example.com"));
 */
export function setEngine(engine: SyncEngine): SyncEngine {
  setContext(ENGINE, engine);
  onMount(() => {
    engine.start();
    return () => engine.stop();
  });
  return engine;
}

/**
 * Returns the engine of the nearest component above that has set one.
 *
 * @throws Error if none has
 * @example
 * const engine = useEngine();
 * await engine.insert("Todo", { title: "milk" });
 */
export function useEngine(): SyncEngine {
  const engine = getContext<SyncEngine | undefined>(ENGINE);
  if (engine === undefined)
    throw new Error("No Pylon engine is provided: call setEngine(engine) in a component above.");
  return engine;
}
