/** RFC 5321 and 3696: in octets. */
const MAX_BYTES = 254;
const MAX_LOCAL_BYTES = 64;

/** A dot-atom of RFC 5322, with letters and digits of any script as RFC 6531 allows them. */
const LOCAL =
  /^[\w!#$%&'*+/=?^`{|}~\-\p{L}\p{M}\p{N}]+(\.[\w!#$%&'*+/=?^`{|}~\-\p{L}\p{M}\p{N}]+)*$/u;
/** Only these are passed to the URL parser, which would interpret other texts differently. */
const UNICODE_DOMAIN = /^[\p{L}\p{M}\p{N}.-]+$/u;
/** At least two labels; the last one is not a number, unlike in an IP address. */
const DOMAIN =
  /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$/;

/**
 * Returns the form in which addresses are stored and compared: case-insensitive and without
 * surrounding spaces, with the domain in ASCII (`münchen.de` is `xn--mnchen-3ya.de`).
 */
export function normaliseEmail(email: string): string {
  const folded = email.trim().normalize("NFC").toLowerCase();
  const at = folded.lastIndexOf("@");
  const domain = folded.slice(at + 1);
  const ascii = at === -1 || !UNICODE_DOMAIN.test(domain) ? "" : domainToASCII(domain);
  return ascii === "" ? folded : folded.slice(0, at + 1) + ascii;
}

/**
 * Whether mail can be sent to the text: a dot-atom in front of a domain name. Quoted local parts
 * and IP addresses, which no mail service assigns to people, are not supported.
 *
 * @returns the address in the form in which it is compared, or null
 */
export function parseEmail(text: string): string | null {
  const email = normaliseEmail(text);
  const at = email.lastIndexOf("@");
  const local = email.slice(0, Math.max(at, 0));
  const isAddress =
    bytesOf(email) <= MAX_BYTES &&
    bytesOf(local) <= MAX_LOCAL_BYTES &&
    LOCAL.test(local) &&
    DOMAIN.test(email.slice(at + 1)) &&
    !hasAsciiLookalike(text.slice(0, text.lastIndexOf("@")));
  return isAddress ? email : null;
}

/** Converts a domain as browsers and mail services do (UTS 46); empty if it is not a domain. */
function domainToASCII(domain: string): string {
  const url = `http://${domain}`;
  return URL.canParse(url) ? new URL(url).hostname : "";
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/**
 * Whether a non-ASCII letter becomes an ASCII letter when addresses are compared, as the Kelvin
 * sign becomes a `k`: the owner of that mailbox is not the owner of the one with the plain letter.
 */
function hasAsciiLookalike(local: string): boolean {
  const others = local.replaceAll(/[\0-\x7f]/g, "");
  return Array.from(others).some((letter) => /[\0-\x7f]/.test(normalLetter(letter)));
}

function normalLetter(letter: string): string {
  return letter.normalize("NFC").toLowerCase();
}
