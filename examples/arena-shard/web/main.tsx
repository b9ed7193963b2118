import { init } from "@pylonsync/react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";

// The page holds only the rows that it shows, not all rounds.
init({ baseUrl: location.origin, appName: "arena", sync: "queries" });

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App />);
