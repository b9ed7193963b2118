import type { Row } from "@pylonsync/sync";
import type { ReactElement } from "react";
import { ID_FIELD, isGeneratedId, targetOf, valueIn, type Entity, type Field } from "../model.ts";
import { rowHref } from "../route.ts";
import { isFilterable, type Order } from "./conditions.ts";
import { cellText } from "./field-value.ts";

/** The rows and what happens on a click. */
export interface RowTableProps {
  readonly entity: Entity;
  readonly rows: readonly Row[];
  readonly order: Order;
  /** The row whose panel is open. */
  readonly openId: string | null;
  readonly onOrder: (order: Order) => void;
  readonly onOpen: (id: string) => void;
}

/** A column for each field. A click on a heading orders by it, a click on a row opens the row. */
export function RowTable({
  entity,
  rows,
  order,
  openId,
  onOrder,
  onOpen,
}: RowTableProps): ReactElement {
  const fields = [ID_FIELD, ...entity.fields];
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={`Rows of ${entity.name}`}>
      <table>
        <thead>
          <tr>
            {fields.map((field) => (
              <Heading key={field.name} field={field} order={order} onOrder={onOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={row.id}
              aria-selected={row.id === openId}
              onClick={({ target }) => {
                if (!(target instanceof HTMLAnchorElement)) onOpen(row.id);
              }}
            >
              {fields.map((field) => (
                <td key={field.name} className={typeClass(field)}>
                  <Cell
                    field={field}
                    value={valueIn(row, field.name)}
                    onOpen={() => onOpen(row.id)}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadingProps {
  readonly field: Field;
  readonly order: Order;
  readonly onOrder: (order: Order) => void;
}

function Heading({ field, order, onOrder }: HeadingProps): ReactElement {
  const { name, type } = field;
  const isOrdered = order.field === name;
  const direction = isOrdered && order.direction === "asc" ? "desc" : "asc";
  const label = (
    <>
      {name} <small>{type}</small>
    </>
  );
  const shared = { scope: "col", className: typeClass(field) };
  if (!isFilterable(field)) return <th {...shared}>{label}</th>;
  return (
    <th
      {...shared}
      aria-sort={isOrdered ? (order.direction === "asc" ? "ascending" : "descending") : undefined}
    >
      <button type="button" onClick={() => onOrder({ field: name, direction })}>
        {label} {isOrdered && (order.direction === "asc" ? "↑" : "↓")}
      </button>
    </th>
  );
}

interface CellProps {
  readonly field: Field;
  readonly value: unknown;
  readonly onOpen: () => void;
}

function Cell({ field, value, onOpen }: CellProps): ReactElement {
  if (field === ID_FIELD)
    return (
      // The keyboard's way to open a row; the whole row is clickable.
      <button type="button" className="id" onClick={onOpen} title={String(value)}>
        {shortId(String(value))}
      </button>
    );
  if (field.hidden === true) return <span className="null">hidden</span>;
  if (value === null) return <span className="null">null</span>;
  const target = targetOf(field);
  if (target !== null && typeof value === "string")
    return (
      <a className="id" href={rowHref(target, value)} title={`${target} ${value}`}>
        {shortId(value)}
      </a>
    );
  if (isGeneratedId(field, value))
    return (
      <span className="id" title={value}>
        {shortId(value)}
      </span>
    );
  return <>{cellText(value)}</>;
}

/** The style of a column: numbers are aligned to the right. */
function typeClass({ type }: Field): string {
  return `type-${type.replace(/\(.*/, "")}`;
}

/** The end of an id differs most: its start is the time. */
function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}
