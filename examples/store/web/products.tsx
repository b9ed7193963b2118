import { db } from "@pylonsync/react";

const price = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });

export function Products() {
  const { data, loading } = db.useQuery("Product", { orderBy: { name: "asc" }, limit: 12 });
  const { mutate, error } = db.useMutation("placeOrder");
  return (
    <section aria-labelledby="products">
      <h2 id="products">Products</h2>
      {!loading && data.length === 0 && <p className="muted">Nothing yet: import some below.</p>}
      <ul className="grid">
        {data.map(({ id, name, cents, stock }) => (
          <li key={id} className="card">
            <strong>{name}</strong>
            <span>{price.format(cents / 100)}</span>
            <span className="muted">{stock === 0 ? "Sold out" : `${stock} left`}</span>
            <button
              disabled={stock === 0}
              aria-label={`Order ${name}`}
              onClick={() => void mutate({ productId: id }).catch(() => undefined)}
            >
              Order
            </button>
          </li>
        ))}
      </ul>
      {error !== null && <p role="alert">{error.message}</p>}
    </section>
  );
}
