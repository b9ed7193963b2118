import { afterAll, beforeAll, expect, test } from "bun:test";
import { createSyncEngine, type SyncEngine } from "@pylonsync/sync";
import { Account, SignIn, SignOutButton, SignUp, useSession } from "@pylonsync/react";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { Window } from "happy-dom";
import type { ReactElement } from "react";
import { aMoment, TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const PASSWORD = "correct horse battery";
const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [
      entity("User", { email: field.string().unique(), displayName: field.string().optional() }),
      entity("Note", { text: field.string(), ownerId: field.string().owner() }),
    ],
    policies: [
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
    ],
  }),
);

let mail: MailServer;
let server: TestServer;
let sync: SyncEngine;
let window: Window;
let unmount: () => void;
const restore: Record<string, unknown> = {};

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(app, {
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "notes@example.com",
  });
  sync = createSyncEngine(server.url, { appName: "react-auth" });
  sync.start();
  window = new Window({ url: "http://localhost/" });
  for (const name of ["window", "document", "location", "FormData"])
    restore[name] = Reflect.get(globalThis, name);
  Object.assign(globalThis, {
    window,
    document: window.document,
    location: window.location,
    FormData: window.FormData,
  });
  const { createRoot } = await import("react-dom/client");
  const container = window.document.createElement("div");
  window.document.body.append(container);
  const root = createRoot(container as never);
  root.render(<Forms />);
  unmount = () => root.unmount();
});
afterAll(async () => {
  unmount();
  sync.stop();
  await reactSettled();
  await window.happyDOM.close();
  Object.assign(globalThis, restore);
  await server.stop();
  await mail.stop();
});

function Forms(): ReactElement {
  const { userId, isAuthenticated } = useSession(sync);
  return (
    <>
      <output>{isAuthenticated ? userId : "nobody"}</output>
      <section id="up">
        <SignUp sync={sync} />
      </section>
      <section id="in">
        <SignIn sync={sync} />
      </section>
      <section id="account">
        <Account sync={sync} />
      </section>
      <section id="out">
        <SignOutButton sync={sync} />
      </section>
    </>
  );
}

const shown = (): string => window.document.querySelector("output")?.textContent ?? "";
const errorIn = (section: string): string =>
  window.document.querySelector(`#${section} [role=alert]`)?.textContent ?? "";

function fill(section: string, values: Readonly<Record<string, string>>): void {
  const form = window.document.querySelector(`#${section} form`);
  if (form === null) throw new Error(`There is no form in #${section}.`);
  for (const [name, value] of Object.entries(values))
    (form.querySelector(`[name=${name}]`) as unknown as HTMLInputElement).value = value;
  form.dispatchEvent(new window.Event("submit", { bubbles: true, cancelable: true }));
}

test("the forms sign up, out and in, show errors, and the replica follows", async () => {
  const email = "ann@example.com";
  await until(() => shown() === "nobody");
  fill("up", { displayName: "Ann", email, password: "password123" });
  await until(() => errorIn("up").includes("common"));
  fill("up", { displayName: "Ann", email, password: PASSWORD });
  await until(() => window.document.querySelector("#up [name=code]") !== null);
  fill("up", { code: /\d{6}/.exec((await mail.to(email)).text)?.[0] ?? "" });
  await until(() => shown().length > 20);
  const userId = shown();
  await until(() => sync.store.list("User").length === 1);

  (window.document.querySelector("#out button") as unknown as HTMLElement).click();
  await until(() => shown() === "nobody");
  expect(sync.store.list("User")).toEqual([]);
  fill("in", { email, password: "a wrong one" });
  await until(() => errorIn("in").includes("wrong"));
  fill("in", { email, password: PASSWORD });
  await until(() => shown() === userId);
}, 60_000);

test("a session ended elsewhere does not prevent a new sign-in", async () => {
  const token = sync.token ?? "";
  await new TestClient(server.url, token).request("DELETE", "/api/auth/session");
  fill("in", { email: "ann@example.com", password: PASSWORD });
  await until(() => sync.token !== null && sync.token !== token);
  await until(() => shown().length > 20);
});

test("a key that is too long for a QR code is shown as text", async () => {
  const { request } = sync;
  sync.request = (method, path, body) =>
    path.endsWith("/enroll")
      ? Promise.resolve({ secret: "KEY", otpauth_url: `otpauth://totp/${"a".repeat(5_000)}` })
      : request.call(sync, method, path, body);
  const settings = 'account [aria-label="Authenticator app"]';
  await until(() => window.document.querySelector(`#${settings} form`) !== null);
  fill(settings, {});
  await until(() => window.document.querySelector(`#${settings} code`)?.textContent === "KEY");
  // An error of the encoder would be an unhandled rejection.
  await aMoment();
  expect(window.document.querySelector(`#${settings} svg`)).toBeNull();
  sync.request = request;
}, 60_000);
