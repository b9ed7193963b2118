import type { SyncEngine } from "@pylonsync/sync";
import {
  useAggregate,
  useEngine,
  useFunction,
  useMutation,
  useQuery,
  useQueryOne,
  useRoom,
  useSearch,
  useSession,
  useStatus,
} from "@pylonsync/react";
import { useEffect, useState, type ReactElement } from "react";
import type { Actions, Input, Mounted, ProbeKind } from "../binding.ts";
import { container } from "../container.ts";

/** The hook of each kind; the kind of a component never changes. */
const HOOKS: Readonly<Record<ProbeKind, (sync: SyncEngine, input: Input) => object>> = {
  query: (sync, { name = "", options = {} }) => useQuery<unknown>(sync, name, options),
  row: (sync, { name = "", id = "" }) => useQueryOne<unknown>(sync, name, id),
  function: (_sync, { name = "", options = {} }) => useFunction<unknown>(name, options),
  aggregate: (sync, { name = "", options = {} }) =>
    useAggregate<object>(sync, name, { count: true, ...options }),
  search: (sync, { name = "", options = {} }) => useSearch<object>(sync, name, options),
  calls: (_sync, { name = "" }) => useMutation<Readonly<Record<string, unknown>>>(name),
  session: () => useSession(),
  status: (sync) => useStatus(sync),
  room: (_sync, { room = "", userId = "", onBroadcast }) =>
    useRoom(room, userId, onBroadcast === undefined ? {} : { onBroadcast }),
};

interface ProbeProps {
  readonly kind: ProbeKind;
  readonly first: Input;
  readonly onShow: (json: string) => void;
  readonly onReady: (engine: SyncEngine, set: (input: Input) => void) => void;
  readonly onActions: (actions: Actions) => void;
}

function Probe({ kind, first, onShow, onReady, onActions }: ProbeProps): ReactElement {
  const [input, setInput] = useState(first);
  const engine = useEngine();
  const state = HOOKS[kind](engine, input);
  const json = JSON.stringify(state);
  onShow(json);
  onActions(state);
  useEffect(() => onReady(engine, setInput), [engine, onReady]);
  return <output>{json}</output>;
}

/**
 * Mounts a component of a kind, and waits until it is rendered.
 *
 * @param around wraps the component, such as with the app's provider
 */
export async function mountProbe(
  kind: ProbeKind,
  input: Input,
  onShow: (json: string) => void,
  around: (probe: ReactElement) => ReactElement,
): Promise<Mounted> {
  const { createRoot } = await import("react-dom/client");
  const root = createRoot(container());
  let actions: Actions = {};
  return new Promise<Mounted>((resolve) => {
    const onReady = (engine: SyncEngine, set: (next: Input) => void): void =>
      resolve({
        engine,
        set,
        unmount: () => root.unmount(),
        get actions() {
          return actions;
        },
      });
    root.render(
      around(
        <Probe
          {...{ kind, onShow, onReady }}
          first={input}
          onActions={(next) => (actions = next)}
        />,
      ),
    );
  });
}
