import { callFn, db, init, streamFn } from "@pylonsync/react";
import { useState, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { SignIn } from "./sign-in.tsx";

interface Product {
  id: string;
  name: string;
  brand: string;
  price: number;
  stock: number;
  about: string | null;
}
interface Order {
  id: string;
  productId: string;
  status: string;
  createdAt: string;
}
interface BrandCount {
  brand: string;
  count_brand: number;
  count_distinct_color: number;
}
interface MonthCount {
  createdAt_month: string;
  count: number;
}

init({ baseUrl: location.origin, appName: "shop" });

function Charts(): ReactElement {
  const brands = db.useAggregate<BrandCount>("Product", {
    count: "brand",
    countDistinct: ["color"],
    groupBy: ["brand"],
  });
  const months = db.useAggregate<MonthCount>("Product", {
    count: "*",
    groupBy: [{ field: "createdAt", bucket: "month" }],
  });
  const inOrder = (brands.data ?? []).sort((a, b) => a.brand.localeCompare(b.brand));
  return (
    <ul aria-label="Charts">
      {inOrder.map((row) => (
        <li key={row.brand}>
          {row.brand}: {row.count_brand} in {row.count_distinct_color} colors
        </li>
      ))}
      {(months.data ?? []).map((row) => (
        <li key={row.createdAt_month}>
          {row.createdAt_month}: {row.count}
        </li>
      ))}
    </ul>
  );
}

function Detail({ id }: { id: string }): ReactElement | null {
  const { data: product } = db.useQueryOne<Product>("Product", id);
  const [failure, setFailure] = useState<string | null>(null);
  const [written, setWritten] = useState("");
  const place = db.useMutation<{ productId: string; fail?: boolean }, { orderId: string }>(
    "placeOrder",
  );
  const order = (fail: boolean): void => {
    place
      .mutate({ productId: id, fail })
      .then(() => setFailure(null))
      .catch((error: Error) => setFailure(error.message));
  };
  const describe = async (): Promise<void> => {
    let text = "";
    for await (const part of streamFn("describe", { productId: id })) setWritten((text += part));
  };
  if (!product) return null;
  return (
    <section aria-label={product.name}>
      <p>
        {product.stock} left, {product.about ?? "nothing said"}
      </p>
      <button disabled={place.loading} onClick={() => order(false)}>
        Buy
      </button>
      <button onClick={() => order(true)}>Fail</button>
      <button onClick={() => void describe()}>Describe</button>
      <output>{written}</output>
      {failure && <span role="alert">{failure}</span>}
    </section>
  );
}

function Orders(): ReactElement {
  const { data: orders } = db.useQuery<Order>("Order", { orderBy: { createdAt: "desc" } });
  return (
    <ol aria-label="Orders">
      {orders.map((order) => (
        <li key={order.id}>{order.status}</li>
      ))}
    </ol>
  );
}

function Shop(): ReactElement {
  const { userId } = db.useSession();
  const [open, setOpen] = useState<string | null>(null);
  const { data: all } = db.useQuery<Product>("Product", { orderBy: { name: "asc" } });
  const products = db.usePaginatedQuery<Product>("Product", {
    initialNumItems: 3,
    orderBy: { name: "asc" },
  });
  return (
    <>
      <p role="status">
        {all.length} products, {products.status}
      </p>
      {all.length === 0 && userId !== null && (
        <button onClick={() => void callFn("seedProducts", { count: 150 })}>Seed</button>
      )}
      <nav>
        {products.results.map((product) => (
          <button key={product.id} onClick={() => setOpen(product.id)}>
            {product.name}
          </button>
        ))}
        <button onClick={() => products.loadMore()}>More</button>
      </nav>
      {open && <Detail id={open} />}
      {userId === null ? <SignIn /> : <Orders />}
      <Charts />
    </>
  );
}

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<Shop />);
