import { createSyncEngine } from "@pylonsync/sync";
import {
  pylon,
  useAggregate,
  useFunction,
  useMutation,
  useQuery,
  useQueryOne,
  useRoom,
  useSearch,
  useSession,
  useStatus,
} from "@pylonsync/vue";
import { createApp, h, shallowRef, unref } from "vue";
import type { Actions, Binding, Input, ProbeKind } from "../binding.ts";
import { container } from "../container.ts";

const COMPOSABLES: Readonly<Record<ProbeKind, (input: () => Input) => object>> = {
  query: (input) => useQuery<unknown>(input().name ?? "", () => input().options ?? {}),
  row: (input) => useQueryOne<unknown>(input().name ?? "", () => input().id ?? ""),
  function: (input) => useFunction<unknown>(input().name ?? "", () => input().options ?? {}),
  aggregate: (input) =>
    useAggregate<object>(input().name ?? "", () => ({ count: true, ...input().options })),
  search: (input) => useSearch<object>(input().name ?? "", () => input().options ?? {}),
  calls: (input) => useMutation<Readonly<Record<string, unknown>>>(input().name ?? ""),
  session: () => useSession(),
  status: () => useStatus(),
  room: (input) => {
    const { onBroadcast } = input();
    return useRoom(
      () => input().room ?? "",
      () => input().userId ?? "",
      onBroadcast === undefined ? {} : { onBroadcast },
    );
  },
};

/** Mounts a component of Vue. */
export const binding: Binding = {
  async mount(kind, config, first, onShow) {
    const engine = createSyncEngine(config.baseUrl, config);
    const input = shallowRef(first);
    let actions: Actions = {};
    const app = createApp({
      setup() {
        const state = COMPOSABLES[kind](() => input.value);
        actions = state;
        return () => {
          const values = Object.entries(state).map(([name, value]) => [name, unref(value)]);
          const json = JSON.stringify(Object.fromEntries(values));
          onShow(json);
          return h("output", json);
        };
      },
    });
    app.use(pylon(engine)).mount(container());
    return {
      engine,
      actions,
      set: (next) => (input.value = next),
      unmount: () => app.unmount(),
    };
  },
};
