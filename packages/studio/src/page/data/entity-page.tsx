import { useAggregate, useInfiniteQuery } from "@pylonsync/react";
import type { Row } from "@pylonsync/sync";
import { useEffect, type ReactElement } from "react";
import { useStudio } from "../context.ts";
import { ID_FIELD, type Entity } from "../model.ts";
import { Empty, Problem } from "../parts.tsx";
import { hrefOf } from "../route.ts";
import { UNSAVED } from "../unsaved.ts";
import { filterOf, orderOf, readConditions, writeConditions } from "./conditions.ts";
import { FilterBar } from "./filter-bar.tsx";
import { NEW_ROW, RowPanel } from "./row-panel.tsx";
import { RowTable, type RowTableProps } from "./row-table.tsx";

/** The rows that are shown at first, and that each click adds. */
const PAGE_SIZE = 50;

interface EntityPageProps {
  readonly name: string;
  readonly query: URLSearchParams;
}

/** The rows of an entity, live, with filters, an order, and one open row. */
export function EntityPage({ name, query }: EntityPageProps): ReactElement {
  const { app } = useStudio();
  const entity = app.entities.find((candidate) => candidate.name === name);
  if (entity === undefined) return <Empty>The app has no entity {name}.</Empty>;
  return <EntityRows entity={entity} query={query} />;
}

interface EntityRowsProps {
  readonly entity: Entity;
  readonly query: URLSearchParams;
}

function EntityRows({ entity, query }: EntityRowsProps): ReactElement {
  const fields = [ID_FIELD, ...entity.fields];
  const conditions = readConditions(query);
  const where = filterOf(conditions, fields);
  useQuestionOnLeave();
  const address = (next: URLSearchParams): string =>
    hrefOf({ section: "data", entity: entity.name, query: next });
  // Every keystroke in a filter changes the address; "back" leaves the list all the same.
  const go = (next: URLSearchParams): void => location.replace(address(next));
  // "Back" closes the row.
  const openRow = (id: string | null): void => {
    if (UNSAVED.drop()) location.assign(address(withParam(query, "row", id)));
  };
  const open = query.get("row");
  return (
    <section className="entity">
      <header>
        <h1>
          {entity.name} <RowCount entity={entity.name} where={where} />
        </h1>
        <button type="button" className="primary" onClick={() => openRow("")}>
          New row
        </button>
      </header>
      <FilterBar
        fields={fields}
        conditions={conditions}
        onChange={(next) => go(writeConditions(query, next))}
      />
      <RowList
        entity={entity}
        where={where}
        order={orderOf(query, fields)}
        openId={open}
        onOrder={({ field, direction }) => go(withParam(query, "order", `${field} ${direction}`))}
        onOpen={openRow}
      />
      {open !== null && (
        <RowPanel
          key={open}
          entity={entity}
          id={open === "" ? NEW_ROW : open}
          onClose={() => openRow(null)}
          onInserted={(id) => go(withParam(query, "row", id))}
          onDeleted={() => go(withParam(query, "row", null))}
          onEdited={UNSAVED.set}
        />
      )}
    </section>
  );
}

interface RowListProps extends Omit<RowTableProps, "rows"> {
  readonly where: ReturnType<typeof filterOf>;
}

/** The first matching rows, and more of them on request. */
function RowList({ where, ...props }: RowListProps): ReactElement {
  const { engine } = useStudio();
  const { entity, order } = props;
  const list = useInfiniteQuery<Row>(engine, entity.name, {
    pageSize: PAGE_SIZE,
    where,
    orderBy: { [order.field]: order.direction },
  });
  return (
    <>
      <Problem error={list.error} />
      <RowTable {...props} rows={list.data} />
      {!list.loading && list.error === null && list.data.length === 0 && <Empty>No rows.</Empty>}
      {list.hasMore && (
        <button type="button" onClick={() => void list.loadMore()}>
          Show {PAGE_SIZE} more
        </button>
      )}
    </>
  );
}

/** Lets the browser ask before it leaves the page with unsaved changes. */
function useQuestionOnLeave(): void {
  useEffect(() => {
    const onLeave = (event: BeforeUnloadEvent): void => {
      if (UNSAVED.hasEdits) event.preventDefault();
    };
    addEventListener("beforeunload", onLeave);
    return () => removeEventListener("beforeunload", onLeave);
  }, []);
}

interface RowCountProps {
  readonly entity: string;
  readonly where: ReturnType<typeof filterOf>;
}

/** The number of all matching rows, of which the list shows the first ones. */
function RowCount({ entity, where }: RowCountProps): ReactElement | null {
  const { engine } = useStudio();
  const spec = { count: true, where } as const;
  const { data } = useAggregate<{ readonly count: number }>(engine, entity, spec);
  const count = data?.[0]?.count;
  if (count === undefined) return null;
  return <small>{count === 1 ? "1 row" : `${count.toLocaleString()} rows`}</small>;
}

function withParam(query: URLSearchParams, name: string, value: string | null): URLSearchParams {
  const next = new URLSearchParams(query);
  if (value === null) next.delete(name);
  else next.set(name, value);
  return next;
}
