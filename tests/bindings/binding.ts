import type { SyncEngine, SyncEngineConfig } from "@pylonsync/sync";

/** The part of a binding that a component of the suite uses. */
export type ProbeKind =
  | "query"
  | "row"
  | "function"
  | "aggregate"
  | "search"
  | "calls"
  | "session"
  | "status"
  | "room";

/** The arguments of the part under test; a component follows their changes. */
export interface Input {
  /** The name of an entity or a function. */
  readonly name?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly id?: string;
  readonly room?: string;
  readonly userId?: string;
  readonly onBroadcast?: (message: unknown) => void;
}

/** The functions that the binding returned to a component, in addition to its state. */
export interface Actions {
  readonly mutate?: (args?: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly reset?: () => void;
  readonly refresh?: () => void;
  readonly setPresence?: (data: unknown) => Promise<void>;
  readonly broadcast?: (topic: string, data?: unknown) => Promise<void>;
}

/** A mounted component. */
export interface Mounted {
  readonly engine: SyncEngine;
  readonly actions: Actions;
  set(input: Input): void;
  unmount(): void;
}

/** Mounts a component of a framework that records the state which the binding returns. */
export interface Binding {
  /** @param onShow called with each rendered state, as JSON */
  mount(
    kind: ProbeKind,
    config: Partial<SyncEngineConfig>,
    input: Input,
    onShow: (json: string) => void,
  ): Promise<Mounted>;
}
