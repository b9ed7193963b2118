// The entry of Studio's page.
import { createRoot } from "react-dom/client";
import { Access } from "./access.tsx";
import "./studio.css";

const root = document.querySelector("#root");
if (root !== null) createRoot(root).render(<Access />);
