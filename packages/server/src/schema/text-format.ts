import type { TextFormat } from "@pylonsync/sdk";
import { parseEmail } from "./email-address.ts";

/** The maximum size of a `bytes` field without a limit of its own. */
export const DEFAULT_FIELD_BYTES = 64 * 1024;
/** Only the canonical form: unused bits at the end are 0. */
const BASE64 =
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** A description of each format, for the writer of the text. */
export const FORMAT_WANTED: Readonly<Record<TextFormat, string>> = {
  url: "an address that begins with https:// or http://",
  email: "an email address such as ada@example.com",
  date: "a date such as 2026-01-31",
  bytes: "base64 such as aGVsbG8=",
};

const IS_FORMAT: Readonly<Record<TextFormat, (text: string) => boolean>> = {
  url: isUrl,
  email: (text) => text.trim() === text && parseEmail(text) !== null,
  date: isDate,
  bytes: (text) => BASE64.test(text),
};

/** Whether a text has the format. It is stored as written. */
export function isOfFormat(format: TextFormat, text: string): boolean {
  return IS_FORMAT[format](text);
}

/** The number of bytes that a base64 text encodes. */
export function decodedBytes(base64: string): number {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return (base64.length / 4) * 3 - padding;
}

/** Other schemes, such as `javascript:`, would run code if a page used them in a link. */
function isUrl(text: string): boolean {
  if (!/^https?:\/\/\S+$/i.test(text) || !URL.canParse(text)) return false;
  const { protocol } = new URL(text);
  return protocol === "https:" || protocol === "http:";
}

function isDate(text: string): boolean {
  if (!DAY.test(text) || text.startsWith("0000")) return false;
  const time = Date.parse(`${text}T00:00:00.000Z`);
  // Engines parse 30 February differently: a real date is formatted as it was written.
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
