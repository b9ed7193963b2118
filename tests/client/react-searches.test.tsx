import { afterAll, beforeAll, expect, test } from "bun:test";
import { useSearch } from "@pylonsync/react";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage } from "@pylonsync/sync";
import { Window } from "happy-dom";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

interface Invoice {
  readonly id: string;
  readonly orgId: string;
  readonly text: string;
}

const manifest = buildManifest({
  name: "tenants",
  version: "1.0.0",
  entities: [
    entity("OrgMember", { userId: field.string(), orgId: field.string() }),
    entity(
      "Invoice",
      { orgId: field.string(), text: field.string() },
      { search: { fields: ["text"] } },
    ),
  ],
  policies: [
    policy({ name: "members", entity: "OrgMember", allowRead: "auth.userId == data.userId" }),
    policy({ name: "invoices", entity: "Invoice", allowRead: "auth.tenantId == data.orgId" }),
  ],
});

let server: TestServer;
let window: Window;
const restore: Record<string, unknown> = {};
beforeAll(async () => {
  server = await startServer(appOf(manifest), { PYLON_DEV_MODE: "true" });
  window = new Window({ url: "http://localhost/" });
  for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
  Object.assign(globalThis, { window, document: window.document });
});
afterAll(async () => {
  await reactSettled();
  await window.happyDOM.close();
  Object.assign(globalThis, restore);
  await server.stop();
});

test("the hits of another tenant are not shown while the new ones are loading", async () => {
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const client = await TestClient.guest(server.url);
  for (const orgId of ["red", "blue"]) {
    await admin.insert("OrgMember", { userId: client.userId, orgId });
    await admin.insert("Invoice", { orgId, text: "paper" });
  }
  await client.request("POST", "/api/auth/select-org", { orgId: "red" });
  const engine = createSyncEngine(server.url, {
    sync: "queries",
    token: client.token ?? "",
    persist: false,
    storage: createWriteThroughStorage({}, () => undefined),
  });
  const renders: string[] = [];
  function Invoices(): null {
    const { hits } = useSearch<Invoice>(engine, "Invoice", { query: "paper" });
    const { tenantId } = engine.session.current;
    renders.push(`${tenantId} sees ${hits.map(({ orgId }) => orgId).join()}`);
    return null;
  }
  const { createRoot } = await import("react-dom/client");
  const root = createRoot(window.document.createElement("div") as never);
  root.render(<Invoices />);
  engine.start();
  await until(() => renders.at(-1) === "red sees red");
  await client.request("POST", "/api/auth/select-org", { orgId: "blue" });
  await engine.session.refresh();
  await until(() => renders.at(-1) === "blue sees blue");
  expect(renders).toContain("blue sees ");
  expect(renders).not.toContain("blue sees red");
  root.unmount();
  engine.stop();
});
