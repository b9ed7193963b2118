import type { MailData, MailKind, MailTemplates } from "@pylonsync/sdk";
import { escapeHtml } from "../util/escape-html.ts";

/** The content of a mail, before it is laid out. */
interface Words {
  readonly subject: string;
  readonly lines: readonly string[];
  /** What the link does. */
  readonly action?: string;
}

const IGNORE = "If you did not request this, ignore this mail.";
const CODE_STYLE = "font:600 28px/1.4 ui-monospace,Menlo,monospace;letter-spacing:6px";
const BUTTON_STYLE = [
  "display:inline-block",
  "padding:10px 18px",
  "border-radius:8px",
  "background:#1f6feb",
  "color:#ffffff",
  "text-decoration:none",
].join(";");

const WORDS: Readonly<Record<MailKind, (data: MailData) => Words>> = {
  "sign-in-code": ({ appName, code = "", minutes }) => ({
    subject: `${code} is your code for ${appName}`,
    lines: [`Sign in to ${appName} with this code:`, ...lasts(minutes), IGNORE],
  }),
  "magic-link": ({ appName, minutes }) => ({
    subject: `Sign in to ${appName}`,
    lines: [`Sign in to ${appName} with this link:`, ...lasts(minutes), IGNORE],
    action: "Sign in",
  }),
  "verify-email": ({ appName, code = "", minutes }) => ({
    subject: `${code} confirms your address for ${appName}`,
    lines: [`Confirm your email address for ${appName} with this code:`, ...lasts(minutes), IGNORE],
  }),
  "reset-password": ({ appName, minutes }) => ({
    subject: `Reset your password for ${appName}`,
    lines: [`Choose a new password for ${appName}:`, ...lasts(minutes), IGNORE],
    action: "Reset your password",
  }),
  "change-email": ({ appName, code = "", minutes }) => ({
    subject: `${code} confirms your new address for ${appName}`,
    lines: [
      `Confirm your new email address for ${appName} with this code:`,
      ...lasts(minutes),
      IGNORE,
    ],
  }),
  "email-taken": ({ appName }) => ({
    subject: `You already have an account at ${appName}`,
    lines: [
      `Somebody, perhaps you, tried to use this email address for ${appName}. ` +
        "It already belongs to an account: sign in instead, or reset its password.",
      IGNORE,
    ],
    action: "Sign in",
  }),
  invitation: ({ appName, organization = "an organization", inviter = "Somebody" }) => ({
    subject: `Join ${organization} on ${appName}`,
    lines: [`${inviter} invites you to ${organization} on ${appName}.`],
    action: "Accept",
  }),
  "security-notice": ({ appName, notice = "" }) => ({
    subject: `Your account at ${appName}`,
    lines: [notice, "If this was not you, reset your password now."],
  }),
};

function lasts(minutes: number | undefined): string[] {
  return minutes === undefined ? [] : [`It is valid for ${minutes} minutes.`];
}

/** Returns the text and HTML of a mail, from the app's own template if it has one for this kind. */
export function renderMail(
  kind: MailKind,
  data: MailData,
  overrides: MailTemplates = {},
): { subject: string; text: string; html: string } {
  const own = overrides[kind]?.(data);
  if (own !== undefined)
    return { subject: own.subject, text: own.text, html: own.html ?? paragraphs([own.text]) };
  const { subject, lines, action } = WORDS[kind](data);
  const [first = "", ...rest] = lines;
  const middle = [
    ...(data.code === undefined ? [] : [data.code]),
    ...(data.link === undefined ? [] : [data.link]),
  ];
  return {
    subject,
    text: [first, ...middle, ...rest].join("\n\n") + "\n",
    html: layOut(first, rest, data, action),
  };
}

function layOut(
  first: string,
  rest: readonly string[],
  { code, link }: MailData,
  action = "Open",
): string {
  const big = code === undefined ? "" : `<p style="${CODE_STYLE}">${escapeHtml(code)}</p>`;
  const button =
    link === undefined
      ? ""
      : `<p><a href="${escapeHtml(link)}" style="${BUTTON_STYLE}">${escapeHtml(action)}</a></p>`;
  return paragraphs(
    [first],
    big + button + rest.map((line) => `<p style="color:#6e7681">${escapeHtml(line)}</p>`).join(""),
  );
}

function paragraphs(texts: readonly string[], after = ""): string {
  const body = texts.map((text) => `<p>${escapeHtml(text)}</p>`).join("");
  return [
    '<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">',
    '<div style="max-width:32em;margin:2em auto;font:16px/1.5 system-ui,sans-serif">',
    `${body}${after}</div>`,
  ].join("");
}
