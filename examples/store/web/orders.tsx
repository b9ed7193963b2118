import { db } from "@pylonsync/react";
import type { Order } from "../pylon.client.ts";

const STATIONS = ["placed", "packed", "shipped", "delivered"] as const;

/** The state that the workflow sets with `setState`. */
interface Shown {
  readonly at: string;
  readonly parcel?: string;
}

export function Orders() {
  const { data } = db.useQuery("Order", { orderBy: { createdAt: "desc" } });
  if (data.length === 0) return null;
  return (
    <section aria-labelledby="orders">
      <h2 id="orders">Your orders</h2>
      <ul>
        {data.map((order) => (
          <OrderRow key={order.id} order={order} />
        ))}
      </ul>
    </section>
  );
}

function OrderRow({ order: { id, product, status, runId } }: { readonly order: Order }) {
  const run = db.useWorkflow<Shown>(runId);
  const { mutate } = db.useMutation("confirmDelivery");
  const shown = run.data?.state;
  const reached = STATIONS.findIndex((station) => station === status);
  return (
    <li className="card order">
      <strong>{product}</strong>
      <ol className="stations" aria-label={`${product} is ${status}`}>
        {STATIONS.map((station, index) => (
          <li key={station} data-reached={index <= reached}>
            {station}
          </li>
        ))}
      </ol>
      <span className="muted">
        {shown?.at ?? status}
        {shown?.parcel !== undefined && `, parcel ${shown.parcel}`}
      </span>
      {status === "shipped" && (
        <button onClick={() => void mutate({ orderId: id }).catch(() => undefined)}>
          It is here
        </button>
      )}
    </li>
  );
}
