// Renders a page that suspends, as a server does, and prints the result as JSON. A separate
// process, because React's renderer for servers would leave its state to that for pages.
import { EngineProvider, useEngine, useSuspenseQuery } from "@pylonsync/react";
import { Suspense, type ReactNode } from "react";
import { renderToReadableStream } from "react-dom/server";

function Titles(): ReactNode {
  return useSuspenseQuery(useEngine(), "Todo").data.length;
}

const errors: string[] = [];
const stream = await renderToReadableStream(
  <EngineProvider baseUrl="http://localhost:1">
    <output>
      <Suspense fallback="Loading">
        <Titles />
      </Suspense>
    </output>
  </EngineProvider>,
  { onError: (error) => void errors.push(String(error)) },
);
console.log(JSON.stringify({ html: await new Response(stream).text(), errors }));
