import type { SyncEngine } from "@pylonsync/sync";
import { useState, type ReactElement, type ReactNode } from "react";
import { heldEntities, rowsOf, sizeText, watchedQueries } from "./inspect.ts";
import type { Recording } from "./recorder.ts";

/** Longer ids are truncated. */
const MAX_ID = 16;

/** The props of each tab of the panel. */
export interface PartProps {
  readonly sync: SyncEngine;
  readonly recording: Recording;
}

/** The queries that the page watches. */
export function Queries({ sync }: PartProps): ReactElement {
  const queries = watchedQueries(sync);
  if (queries.length === 0) return <None>No component watches a query.</None>;
  return (
    <Table heads={["Entity", "Condition", "Order", "Rows", "Size"]} wide={2} numbers={[3, 4]}>
      {queries.map(({ id, entity, where, order, rows, bytes }) => (
        <tr key={id}>
          <td>{entity}</td>
          <td>
            <code>{where}</code>
          </td>
          <td>
            <code>{order}</code>
          </td>
          <td className="pylon-devtools-number">{rows}</td>
          <td className="pylon-devtools-number">{sizeText(bytes)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** The rows of the replica, including pending writes. */
export function Rows({ sync }: PartProps): ReactElement {
  const [chosen, setChosen] = useState<string | null>(null);
  const entities = heldEntities(sync);
  const shown = entities.find(({ entity }) => entity === chosen) ?? entities[0];
  if (shown === undefined) return <None>The replica holds no rows yet.</None>;
  const { rows, more } = rowsOf(sync, shown.entity);
  return (
    <>
      <div className="pylon-devtools-entities">
        {entities.map(({ entity, rows: count }) => (
          <button
            key={entity}
            type="button"
            aria-pressed={entity === shown.entity}
            onClick={() => setChosen(entity)}
          >
            {entity} {count}
          </button>
        ))}
      </div>
      <Table heads={["Id", "Fields"]} wide={2}>
        {rows.map(({ id, ...fields }) => (
          <tr key={id}>
            <td>
              <Id id={id} />
            </td>
            <td>
              <code>{JSON.stringify(fields)}</code>
            </td>
          </tr>
        ))}
      </Table>
      {more > 0 && <None>{`and ${more} more`}</None>}
    </>
  );
}

/** The outbox, and the writes that the server rejected. */
export function Writes({ sync, recording }: PartProps): ReactElement {
  const entries = sync.mutations.all();
  return (
    <>
      <h3>Outbox</h3>
      {entries.length === 0 ? (
        <None>No pending writes.</None>
      ) : (
        <Table heads={["Status", "Write", "Data"]} wide={3}>
          {entries.map(({ id, status, change }) => (
            <tr key={id}>
              <td>{status}</td>
              <td>
                {change.kind} {change.entity} <Id id={change.row_id} />
              </td>
              <td>
                <code>{JSON.stringify(change.data)}</code>
              </td>
            </tr>
          ))}
        </Table>
      )}
      <h3>Rejected</h3>
      {recording.rejected.length === 0 ? (
        <None>No writes have been rejected since the page was opened.</None>
      ) : (
        <Table heads={["Time", "Write", "Why"]} wide={3}>
          {recording.rejected.map(({ id, at, error }) => (
            <tr key={id}>
              <td>{timeText(at)}</td>
              <td>
                {error.kind} {error.entity} <Id id={error.rowId} />
              </td>
              <td className="pylon-devtools-bad">
                {error.code}: {error.message}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}

/** Recent events, the newest first. */
export function Log({ recording }: PartProps): ReactElement {
  if (recording.log.length === 0) return <None>No events yet.</None>;
  return (
    <Table heads={["Time", "Event"]} wide={2}>
      {recording.log.map(({ id, at, text }) => (
        <tr key={id}>
          <td>{timeText(at)}</td>
          <td>{text}</td>
        </tr>
      ))}
    </Table>
  );
}

interface TableProps {
  readonly heads: readonly string[];
  /** The index of the column that fills the remaining width, from 1. */
  readonly wide: number;
  /** The indexes of numeric columns, from 0. */
  readonly numbers?: readonly number[];
  readonly children: ReactNode;
}

function Table({ heads, wide, numbers = [], children }: TableProps): ReactElement {
  return (
    <table data-wide={wide}>
      <thead>
        <tr>
          {heads.map((head, index) => (
            <th key={head} className={numbers.includes(index) ? "pylon-devtools-number" : ""}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}

/** The end of an id; the whole id is shown on hover. */
function Id({ id }: { readonly id: string }): ReactElement {
  return <code title={id}>{id.length > MAX_ID ? `…${id.slice(-8)}` : id}</code>;
}

function None({ children }: { readonly children: string }): ReactElement {
  return <p className="pylon-devtools-none">{children}</p>;
}

function timeText(at: number): string {
  return new Date(at).toLocaleTimeString();
}
