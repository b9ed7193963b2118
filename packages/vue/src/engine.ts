import type { SyncEngine } from "@pylonsync/sync";
import { inject, type InjectionKey, type Plugin } from "vue";

const ENGINE: InjectionKey<SyncEngine> = Symbol("pylon");

/**
 * A plugin that provides an engine to all components of an app, and runs it while the app is
 * mounted.
 *
 * @example
 * import { createApp } from "vue";
 *
 * createApp({}).use(pylon(createSyncEngine("https://api.example.com"))).mount("#app");
 */
export function pylon(engine: SyncEngine): Plugin {
  return {
    install(app) {
      app.provide(ENGINE, engine);
      // During server rendering no requests are sent.
      if (typeof document === "undefined") return;
      engine.start();
      app.onUnmount(() => engine.stop());
    },
  };
}

/**
 * Returns the engine of the app.
 *
 * @throws Error if the app does not use the plugin
 * @example
 * const engine = useEngine();
 * await engine.insert("Todo", { title: "milk" });
 */
export function useEngine(): SyncEngine {
  const engine = inject(ENGINE, null);
  if (engine === null)
    throw new Error("No Pylon engine is provided: call app.use(pylon(engine)) before mount.");
  return engine;
}
