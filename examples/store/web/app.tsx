import { db } from "@pylonsync/react";
import { Import } from "./import.tsx";
import { Orders } from "./orders.tsx";
import { Products } from "./products.tsx";

export function App() {
  const { isLoaded, isAuthenticated } = db.useSession();
  return (
    <main>
      <header>
        <h1>Store</h1>
        <p className="muted">
          Orders that ship themselves, and an import that shows how far it is.
        </p>
      </header>
      {isLoaded && !isAuthenticated && (
        <button className="primary" onClick={() => void db.signInAsGuest()}>
          Continue as guest
        </button>
      )}
      {isLoaded && isAuthenticated && (
        <>
          <Products />
          <Orders />
          <Import />
        </>
      )}
    </main>
  );
}
