import { createSyncEngine } from "@pylonsync/sync";
import {
  PylonProvider,
  useAggregate,
  useFunction,
  useMutation,
  useQuery,
  useQueryOne,
  useRoom,
  useSearch,
  useSession,
  useStatus,
} from "@pylonsync/solid";
import { createComponent, createRenderEffect, createRoot, createSignal, type JSX } from "solid-js";
import type { Actions, Binding, Input, ProbeKind } from "../binding.ts";

const PRIMITIVES: Readonly<Record<ProbeKind, (input: () => Input) => object>> = {
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

/** Mounts a component of Solid. */
export const binding: Binding = {
  async mount(kind, config, first, onShow) {
    const engine = createSyncEngine(config.baseUrl, config);
    const [input, set] = createSignal(first);
    let actions: Actions = {};
    const Probe = (): JSX.Element => {
      const state = PRIMITIVES[kind](input);
      actions = state;
      createRenderEffect(() => onShow(JSON.stringify(state)));
      return null;
    };
    const unmount = createRoot((dispose) => {
      const provider = createComponent(PylonProvider, {
        engine,
        get children() {
          return createComponent(Probe, {});
        },
      });
      // A template reads the children, so this does as well.
      if (typeof provider === "function") (provider as () => unknown)();
      return dispose;
    });
    return { engine, actions, set: (next) => void set(next), unmount };
  },
};
