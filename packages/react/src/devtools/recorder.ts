import type { MutationError, SyncEngine, SyncStatus } from "@pylonsync/sync";

/** The maximum number of entries of each kind. */
const MAX_ENTRIES = 100;
/** The minimum interval between updates of the panel, in milliseconds. */
const REFRESH_MS = 250;
/** The interval between latency measurements while the panel is open, in milliseconds. */
const PING_MS = 5_000;

/** An event and its time, in milliseconds since 1970. */
export interface LogEntry {
  readonly id: number;
  readonly at: number;
  readonly text: string;
}

/** A write that the server rejected. */
export interface RejectedWrite {
  readonly id: number;
  readonly at: number;
  readonly error: MutationError;
}

/** The events of an engine since the recorder started, the newest first. */
export interface Recording {
  readonly log: readonly LogEntry[];
  readonly rejected: readonly RejectedWrite[];
  /** The round-trip time to the server in milliseconds; null if unknown. */
  readonly latencyMs: number | null;
  /** Increases whenever the engine's state may have changed. */
  readonly version: number;
}

/** Records the activity of an engine for the panel. */
export class Recorder {
  readonly #sync: SyncEngine;
  readonly #listeners = new Set<() => void>();
  #recording: Recording = { log: [], rejected: [], latencyMs: null, version: 0 };
  #lastId = 0;
  #cancelRefresh: (() => void) | null = null;
  #cancelPing: () => void = () => undefined;
  #shown: SyncStatus;

  constructor(sync: SyncEngine) {
    this.#sync = sync;
    this.#shown = sync.status;
  }

  readonly getSnapshot = (): Recording => this.#recording;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Starts recording. @returns a function that stops it */
  start(): () => void {
    const { store, mutations, session } = this.#sync;
    const stops = [
      this.#sync.onStatus((status) => this.#noteStatus(status)),
      this.#sync.onError((error) => this.#noteRejected(error)),
      session.onChange(({ userId }) => this.#note(`session: ${userId ?? "nobody"}`)),
      store.onConfirmed((keys) => {
        const entities = [...new Set(keys.map(({ entity }) => entity))].join(", ");
        this.#note(`${keys.length} ${keys.length === 1 ? "row" : "rows"} changed: ${entities}`);
      }),
      store.subscribe(() => this.#refreshSoon()),
      store.onWatch(() => this.#refreshSoon()),
      mutations.onChange(() => this.#refreshSoon()),
    ];
    return () => {
      for (const stop of stops) stop();
      this.#cancelRefresh?.();
      this.#cancelRefresh = null;
      this.#cancelPing();
    };
  }

  /** Measures the latency periodically. @returns a function that stops it */
  measure(): () => void {
    let isOver = false;
    const ping = async (): Promise<void> => {
      const { now, after } = this.#sync.platform;
      const startedAt = now();
      const answered = await this.#sync.request("GET", "/api/auth/me").then(
        () => true,
        () => false,
      );
      if (isOver) return;
      this.#change({ latencyMs: answered ? Math.round(now() - startedAt) : null });
      this.#cancelPing = after(PING_MS, () => void ping());
    };
    void ping();
    return () => {
      isOver = true;
      this.#cancelPing();
    };
  }

  #noteStatus(status: SyncStatus): void {
    const { connection, transport } = this.#shown;
    this.#shown = status;
    if (status.connection !== connection || status.transport !== transport)
      this.#note(`${status.connection} (${status.transport})`);
    else this.#refreshSoon();
  }

  #noteRejected(error: MutationError): void {
    const { now } = this.#sync.platform;
    const entry = { id: (this.#lastId += 1), at: now(), error };
    this.#change({ rejected: [entry, ...this.#recording.rejected].slice(0, MAX_ENTRIES) });
    this.#note(`rejected: ${error.code}`);
  }

  #note(text: string): void {
    const entry = { id: (this.#lastId += 1), at: this.#sync.platform.now(), text };
    this.#recording = {
      ...this.#recording,
      log: [entry, ...this.#recording.log].slice(0, MAX_ENTRIES),
    };
    this.#refreshSoon();
  }

  /** Combines a burst of changes into one update. */
  #refreshSoon(): void {
    this.#cancelRefresh ??= this.#sync.platform.after(REFRESH_MS, () => {
      this.#cancelRefresh = null;
      this.#change({});
    });
  }

  #change(now: Partial<Recording>): void {
    const { version } = this.#recording;
    this.#recording = { ...this.#recording, ...now, version: version + 1 };
    for (const listener of [...this.#listeners]) listener();
  }
}
