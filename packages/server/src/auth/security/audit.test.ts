import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import { ANONYMOUS_IDENTITY } from "../../identity/identity.ts";
import { RequestContext } from "../../request/context.ts";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { AuditLog } from "./audit.ts";

const DAY_MS = 24 * 60 * 60_000;
const context = new RequestContext(
  new Request("http://localhost/", { headers: { "user-agent": "x".repeat(300) } }),
  {},
  ANONYMOUS_IDENTITY,
  () => "203.0.113.7",
  "request",
);

test("lists the events of a user or of a tenant, the newest first", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const audit = new AuditLog(store, platform);
  await audit.record(context, "sign-in", { userId: "ann", detail: { method: "code" } });
  advance(1000);
  await audit.record(null, "organization.created", { userId: "ann", tenantId: "acme" });
  await audit.record(context, "sign-in", { userId: "ben" });
  expect(await audit.list({ userId: "ann" }, 10)).toMatchObject([
    { event: "organization.created", address: "", device: "", at: "2026-01-01T00:00:01.000Z" },
    {
      event: "sign-in",
      user_id: "ann",
      tenant_id: null,
      address: "203.0.113.7",
      device: "x".repeat(200),
      detail: { method: "code" },
      at: "2026-01-01T00:00:00.000Z",
    },
  ]);
  expect(await audit.list({ tenantId: "acme" }, 10)).toHaveLength(1);
  expect(await audit.list("all", 2)).toHaveLength(2);
});

test("records wrong codes, and no other failures", async () => {
  await using scratch = scratchStore();
  const audit = new AuditLog(scratch.store, scratch.platform);
  const attempt = (error: Error): Promise<unknown> =>
    audit
      .codeTry(
        context,
        "sign-in",
        () => Promise.resolve("ann"),
        () => Promise.reject(error),
      )
      .catch((thrown: unknown) => thrown);
  const wrong = new PylonError("INVALID_CODE", "wrong");
  expect(await attempt(wrong)).toBe(wrong);
  const other = new PylonError("RATE_LIMITED", "later");
  expect(await attempt(other)).toBe(other);
  expect(await audit.list("all", 10)).toMatchObject([
    { event: "code.refused", user_id: "ann", detail: { method: "sign-in" } },
  ]);
});

test("deletes entries that are older than 90 days", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const audit = new AuditLog(store, platform);
  await audit.record(null, "sign-in");
  advance(45 * DAY_MS);
  await audit.record(null, "sign-out");
  advance(45 * DAY_MS);
  expect(await audit.forgetExpired()).toBe(1);
  expect(await audit.list("all", 10)).toMatchObject([{ event: "sign-out" }]);
});
