"use client";
/**
 * A panel for developers that shows the state and activity of an app's engine.
 *
 * @module
 */
import type { SyncEngine } from "@pylonsync/sync";
import {
  useEffect,
  useId,
  useMemo,
  useState,
  useSyncExternalStore,
  type KeyboardEvent,
  type ReactElement,
} from "react";
import { useEngine } from "../provider.tsx";
import { useStatus } from "../queries.ts";
import { useSession } from "../session.ts";
import { watchedQueries } from "./inspect.ts";
import { Log, Queries, Rows, Writes, type PartProps } from "./parts.tsx";
import { Recorder, type Recording } from "./recorder.ts";
import { STYLE } from "./style.ts";

/** Props of `PylonDevtools`. */
export interface PylonDevtoolsProps {
  /** Default: the engine of the nearest provider, or the app's. */
  readonly sync?: SyncEngine;
  /** Whether the panel is initially open. Default false. */
  readonly initialIsOpen?: boolean;
}

/**
 * A button in the corner that opens a panel with the connection, watched queries, rows of the
 * replica, outbox, rejected writes and recent events. Exclude it from production builds: all of its
 * code is in this module.
 *
 * @example
 * import { lazy, Suspense } from "react";
 *
 * const Devtools = lazy(async () => {
 *   const { PylonDevtools } = await import("@pylonsync/react/devtools");
 *   return { default: PylonDevtools };
 * });
 * const isDevelopment = location.hostname === "localhost";
 *
 * function Page() {
 *   return <Suspense>{isDevelopment && <Devtools />}</Suspense>;
 * }
 */
export function PylonDevtools({
  sync: given,
  initialIsOpen = false,
}: PylonDevtoolsProps): ReactElement {
  const sync = useEngine(given);
  const [isOpen, setIsOpen] = useState(initialIsOpen);
  const recorder = useMemo(() => new Recorder(sync), [sync]);
  // Recording starts before the panel is opened, so that earlier rejections are shown too.
  useEffect(() => recorder.start(), [recorder]);
  return (
    <>
      <style>{STYLE}</style>
      {isOpen ? (
        <Panel sync={sync} recorder={recorder} onClose={() => setIsOpen(false)} />
      ) : (
        <button type="button" className="pylon-devtools-open" onClick={() => setIsOpen(true)}>
          Pylon devtools
        </button>
      )}
    </>
  );
}

interface PanelProps {
  readonly sync: SyncEngine;
  readonly recorder: Recorder;
  readonly onClose: () => void;
}

interface Tab {
  readonly name: string;
  readonly Part: (props: PartProps) => ReactElement;
  /** The number shown at the tab; null for none. */
  readonly count: (props: PartProps) => number | null;
}

const TABS: readonly Tab[] = [
  { name: "Queries", Part: Queries, count: ({ sync }) => watchedQueries(sync).length },
  { name: "Rows", Part: Rows, count: () => null },
  { name: "Writes", Part: Writes, count: ({ sync }) => sync.mutations.all().length },
  { name: "Log", Part: Log, count: () => null },
];

function Panel({ sync, recorder, onClose }: PanelProps): ReactElement {
  const recording = useSyncExternalStore(
    recorder.subscribe,
    recorder.getSnapshot,
    recorder.getSnapshot,
  );
  useEffect(() => recorder.measure(), [recorder]);
  const [chosen, setChosen] = useState(0);
  const id = useId();
  const { Part } = TABS[chosen] ?? { Part: Queries };
  const onKeyDown = ({ key, currentTarget }: KeyboardEvent<HTMLElement>): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step === undefined) return;
    const next = (chosen + step + TABS.length) % TABS.length;
    setChosen(next);
    currentTarget.querySelectorAll("button")[next]?.focus();
  };
  return (
    <section className="pylon-devtools" aria-label="Pylon devtools">
      <Bar sync={sync} recording={recording} onClose={onClose} />
      <div role="tablist" aria-label="Views" onKeyDown={onKeyDown}>
        {TABS.map(({ name, count }, index) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${id}-${index}`}
            aria-selected={index === chosen}
            aria-controls={`${id}-panel`}
            tabIndex={index === chosen ? 0 : -1}
            onClick={() => setChosen(index)}
          >
            {name} <Badge count={count({ sync, recording }) ?? 0} />
            {name === "Writes" && recording.rejected.length > 0 && (
              <span className="pylon-devtools-bad"> {recording.rejected.length} rejected</span>
            )}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${chosen}`} tabIndex={0}>
        <Part sync={sync} recording={recording} />
      </div>
    </section>
  );
}

function Badge({ count }: { readonly count: number }): ReactElement | null {
  return count === 0 ? null : <span className="pylon-devtools-badge">{count}</span>;
}

interface BarProps {
  readonly sync: SyncEngine;
  readonly recording: Recording;
  readonly onClose: () => void;
}

/** A one-line summary of the engine's state. */
function Bar({ sync, recording, onClose }: BarProps): ReactElement {
  const { connection, transport, pending, stale } = useStatus(sync);
  const { userId } = useSession(sync);
  const isHeard = connection === "live" && recording.latencyMs !== null;
  const facts = {
    connection: `${connection}, ${transport}`,
    latency: isHeard ? `${recording.latencyMs} ms` : "unknown",
    pending: String(pending),
    cursor: `${sync.store.cursor.last_seq}${stale ? ", from an earlier visit" : ""}`,
    user: userId ?? "nobody",
    server: sync.baseUrl,
  };
  return (
    <div className="pylon-devtools-bar">
      <span className="pylon-devtools-dot" data-state={connection} />
      <strong>Pylon</strong>
      <dl>
        {Object.entries(facts).map(([name, fact]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{fact}</dd>
          </div>
        ))}
      </dl>
      <button
        type="button"
        className="pylon-devtools-close"
        aria-label="Close the devtools"
        onClick={onClose}
      >
        ✕
      </button>
    </div>
  );
}
