import { db, init, usePreloadedQuery } from "@pylonsync/react";
import { lazy, Suspense } from "react";
import { createRoot } from "react-dom/client";

declare global {
  interface Window {
    /** Used by the test to write and read. */
    readonly db: typeof db;
    /** The writes that were rejected, or not sent. */
    readonly refused: readonly string[];
  }
}

const isCookie = location.search.includes("cookie");
init({
  baseUrl: location.origin,
  appName: "replica",
  ...(isCookie ? { credentials: "cookie" } : {}),
  ...(location.search.includes("queries") ? { sync: "queries" } : {}),
});
const refused: string[] = [];
db.onError(({ code }) => refused.push(code));
Object.assign(window, { db, refused });

/** As if a server had rendered a row for this user. */
function Preloaded({ userId }: { readonly userId: string }) {
  const { data } = usePreloadedQuery({
    entity: "Todo",
    options: {},
    rows: [{ id: "rendered", title: "rendered" }],
    userId,
  });
  return <output id="preloaded">{data.map(({ title }) => String(title)).join()}</output>;
}

const Devtools = lazy(async () => {
  const { PylonDevtools } = await import("@pylonsync/react/devtools");
  return { default: PylonDevtools };
});

function App() {
  const { isLoaded, userId } = db.useSession();
  const { connection, pending } = db.useStatus();
  const { data } = db.useQuery("Todo", { orderBy: { title: "asc" } });
  return (
    <>
      <output id="user">{isLoaded ? (userId ?? "nobody") : "unknown"}</output>
      <output id="status">{connection}</output>
      <output id="pending">{pending}</output>
      <Suspense>{location.search.includes("devtools") && <Devtools />}</Suspense>
      {userId !== null && <Preloaded userId={userId} />}
      <output id="rows">{data.map(({ title }) => String(title)).join()}</output>
    </>
  );
}

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App />);
