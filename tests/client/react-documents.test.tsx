import { afterAll, beforeAll, expect, test } from "bun:test";
import { detachLoro, getLoroText, useCollabText, useLoroDoc } from "@pylonsync/loro";
import { EngineProvider } from "@pylonsync/react";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { Window } from "happy-dom";
import { StrictMode, type ReactElement } from "react";
import { renderToString } from "react-dom/server";
import { TestClient, until } from "../support/client.ts";
import { Editor } from "../support/document-client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "react-documents",
    version: "1.0.0",
    entities: [entity("Note", { title: field.string().crdt("text"), body: field.richtext() })],
    policies: [policy({ name: "notes", entity: "Note", allow: "auth.userId != null" })],
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());

let setTitle: (next: string) => void = () => undefined;
let document: ReturnType<typeof useLoroDoc> | null = null;

function Note({ id }: { readonly id: string }): ReactElement {
  const [title, set] = useCollabText("Note", id, "title");
  setTitle = set;
  document = useLoroDoc("Note", id);
  return (
    <p>
      {title}|{getLoroText(document, "body").toString()}
    </p>
  );
}

test("the hooks show a document, and changes of both sides are merged", async () => {
  const window = new Window({ url: "http://localhost/" });
  const restore: Record<string, unknown> = {};
  for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
  const ann = await TestClient.guest(server.url);
  const id = await ann.insert("Note", { title: "milk", body: "two" });
  const page = (
    <EngineProvider baseUrl={server.url} token={ann.token ?? ""} persist={false}>
      <Note id={id} />
    </EngineProvider>
  );
  expect(renderToString(page)).toBe("<p>|</p>");
  Object.assign(globalThis, { window, document: window.document });
  const { createRoot } = await import("react-dom/client");
  const container = window.document.createElement("div");
  const root = createRoot(container as never);
  const shows = (text: string): Promise<void> => until(() => container.textContent === text);
  const other = await Editor.open(await TestClient.guest(server.url), "Note", id);
  try {
    root.render(<StrictMode>{page}</StrictMode>);
    await shows("milk|two");
    setTitle("oat milk");
    await shows("oat milk|two");
    await other.shows("title", "oat milk");
    other.field("title").push(" and bread");
    await other.push();
    await shows("oat milk and bread|two");
    // An app may edit the document itself.
    if (document !== null) getLoroText(document, "body").push(" or three");
    document?.commit();
    await shows("oat milk and bread|two or three");
    await other.shows("body", "two or three");
    await ann.request("PATCH", `/api/entities/Note/${id}`, { body: "four" });
    await shows("oat milk and bread|four");
  } finally {
    root.unmount();
    await reactSettled();
    detachLoro();
    other.close();
    await window.happyDOM.close();
    Object.assign(globalThis, restore);
  }
});
