import { init } from "@pylonsync/react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";

init({ baseUrl: location.origin, appName: "notes" });

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App />);
