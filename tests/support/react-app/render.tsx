// Renders the preloaded page as a server does, and prints its HTML. A process of its own, because
// React's renderer for servers shares its state with the renderer for pages.
import { renderToString } from "react-dom/server";
import { PreloadedPage, type PreloadedProps } from "./preloaded.tsx";

const given = JSON.parse(process.argv[2] ?? "") as PreloadedProps;
console.log(renderToString(<PreloadedPage {...given} />));
