import type { SyncEngine, SyncEngineConfig } from "@pylonsync/sync";

/** What a component of the suite uses of a binding. */
export type ProbeKind = "query" | "row" | "function" | "calls" | "session" | "status" | "room";

/** What it uses it with; a component follows a change. */
export interface Input {
  /** Of an entity or a function. */
  readonly name?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly id?: string;
  readonly room?: string;
  readonly userId?: string;
  readonly onBroadcast?: (message: unknown) => void;
}

/** The functions that a component was given beside its state. */
export interface Actions {
  readonly mutate?: (args?: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly reset?: () => void;
  readonly setPresence?: (data: unknown) => Promise<void>;
  readonly broadcast?: (topic: string, data?: unknown) => Promise<void>;
}

/** A component that is shown. */
export interface Mounted {
  readonly engine: SyncEngine;
  readonly actions: Actions;
  set(input: Input): void;
  unmount(): void;
}

/** How a framework shows a component that writes down what it is given. */
export interface Binding {
  /** @param onShow told of each state that was rendered, as JSON */
  mount(
    kind: ProbeKind,
    config: Partial<SyncEngineConfig>,
    input: Input,
    onShow: (json: string) => void,
  ): Promise<Mounted>;
}
