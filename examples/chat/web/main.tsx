import { init } from "@pylonsync/react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";

// A channel may have more messages than a page should hold: it holds only those that it shows.
init({ baseUrl: location.origin, appName: "chat", sync: "queries" });

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App />);
