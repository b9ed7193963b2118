import { db } from "@pylonsync/react";
import { useEffect, useState } from "react";

interface Toast {
  readonly id: number;
  readonly text: string;
}

const SHOWN_MS = 6000;

/** Shows the writes that the server rejected, after the list has rolled them back. */
export function Toasts() {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  useEffect(() => {
    let next = 0;
    return db.onError((error) => {
      next += 1;
      const toast = { id: next, text: error.message };
      setToasts((shown) => [...shown, toast]);
      setTimeout(() => setToasts((shown) => shown.filter(({ id }) => id !== toast.id)), SHOWN_MS);
    });
  }, []);
  return (
    <div className="toasts" aria-live="assertive">
      {toasts.map(({ id, text }) => (
        <div key={id} className="toast" role="alert">
          {text}
        </div>
      ))}
    </div>
  );
}
