import { expect, test } from "bun:test";
import type { MailKind } from "@pylonsync/sdk";
import { renderMail } from "./templates.ts";

const KINDS: readonly MailKind[] = [
  "sign-in-code",
  "magic-link",
  "verify-email",
  "reset-password",
  "change-email",
  "email-taken",
  "invitation",
  "security-notice",
];
const LINK = "https://app.example.com/?a=1&b=2";

test.each(KINDS)("%s has a one-line subject, and the same content as text and as HTML", (kind) => {
  const mail = renderMail(kind, { appName: "Shop", code: "123456", link: LINK, minutes: 10 });
  expect(mail.subject).toMatch(/^[^\r\n]+$/);
  expect(mail.text).toContain("123456");
  expect(mail.text).toContain(LINK);
  expect(mail.html).toContain("123456");
  expect(mail.html).toContain('href="https://app.example.com/?a=1&amp;b=2"');
});

test.each(KINDS)("%s escapes all values", (kind) => {
  const bad = '<img src=x onerror="alert(1)">';
  const data = { appName: bad, code: bad, link: bad, organization: bad, inviter: bad, notice: bad };
  expect(renderMail(kind, data).html).not.toContain("<img");
});

test("the app's own templates replace ours, as HTML too if they have only text", () => {
  const own = { "sign-in-code": () => ({ subject: "Hi", text: "Your <code>" }) };
  expect(renderMail("sign-in-code", { appName: "Shop" }, own)).toMatchObject({
    subject: "Hi",
    text: "Your <code>",
  });
  expect(renderMail("sign-in-code", { appName: "Shop" }, own).html).toContain("Your &lt;code&gt;");
  expect(renderMail("magic-link", { appName: "Shop" }, own).subject).toBe("Sign in to Shop");
});
