import { createSyncEngine } from "@pylonsync/sync";
import { mount, unmount } from "svelte";
import { writable } from "svelte/store";
import type { Actions, Binding } from "../binding.ts";
import { container } from "../container.ts";
import Probe from "./probe.svelte";

/** Mounts a component of Svelte. */
export const binding: Binding = {
  async mount(kind, config, first, onShow) {
    const engine = createSyncEngine(config.baseUrl, config);
    const store = writable(first);
    let actions: Actions = {};
    const onActions = (next: Actions): void => {
      actions = next;
    };
    const props = { engine, kind, store, onShow, onActions };
    const component = mount(Probe, { target: container(), props });
    return {
      engine,
      actions,
      set: (next) => store.set(next),
      unmount: () => void unmount(component),
    };
  },
};
