// Parsers of the variables' texts. Each throws if the text is not valid.

/** Any text. */
export const text = (value: string): string => value;

/** A whole number, both ends included. */
export function whole(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) throw new RangeError(value);
    return number;
  };
}

/** 1 or 0, true or false. */
export function flag(value: string): boolean {
  if (/^(1|true)$/i.test(value)) return true;
  if (/^(0|false)$/i.test(value)) return false;
  throw new RangeError(value);
}

/** One of these words, in any case. */
export function oneOf<const T extends string>(...known: readonly T[]): (value: string) => T {
  return (value) => {
    const found = known.find((candidate) => candidate === value.toLowerCase());
    if (found === undefined) throw new RangeError(value);
    return found;
  };
}

/** Exact origins: scheme, host and port, nothing after. */
export function origins(value: string): string[] {
  return value.split(",").map((entry) => {
    const origin = entry.trim().replace(/\/$/, "");
    if (origin !== "*" && new URL(origin).origin !== origin) throw new RangeError(origin);
    return origin;
  });
}

/** Origins, except `*`. */
export function exactOrigins(value: string): string[] {
  if (value.includes("*")) throw new RangeError(value);
  return origins(value);
}

/** One origin, without a path. */
export function origin(value: string): string {
  const url = new URL(value);
  if (
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== "/" ||
    url.search !== "" ||
    url.hash !== "" ||
    url.username !== ""
  )
    throw new RangeError(value);
  return url.origin;
}

/** A name that RFC 6265 allows. */
export function cookieName(value: string): string {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(value)) throw new RangeError(value);
  return value;
}

/** A host name, or a dot and a host name for all its subdomains. */
export function domain(value: string): string {
  if (!/^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(value)) throw new RangeError(value);
  return value;
}

/** Domains, separated by commas. */
export function hosts(value: string): string[] {
  return value.split(",").map((entry) => domain(entry.trim()));
}

/** Checks only the format; the store reports other problems. */
export function postgresUrl(value: string): string {
  const url = new URL(value);
  if (!/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2)
    throw new RangeError("no Postgres URL");
  return value;
}

/** In the client's format; the password may be percent-encoded. */
export function redisUrl(value: string): string {
  const { protocol, hostname, username, password, pathname } = new URL(value);
  if (!/^rediss?:$/.test(protocol) || hostname === "" || !/^\/?\d*$/.test(pathname))
    throw new RangeError("no redis URL");
  decodeURIComponent(username);
  decodeURIComponent(password);
  return value;
}

/** A prefix of keys. */
export function namespace(value: string): string {
  if (!/^[A-Za-z0-9:._-]{1,64}$/.test(value)) throw new RangeError(value);
  return value;
}

/** An http or https URL. */
export function httpUrl(value: string): string {
  if (!/^https?:$/.test(new URL(value).protocol)) throw new RangeError(value);
  return value;
}

/** In the mailer's format; the password may be percent-encoded. */
export function smtpUrl(value: string): string {
  const { protocol, hostname, username, password } = new URL(value);
  if (!/^smtps?:$/.test(protocol) || hostname === "") throw new RangeError("no SMTP URL");
  decodeURIComponent(username);
  decodeURIComponent(password);
  return value;
}

/** An address, bare or as `Name <address>`. */
export function sender(value: string): string {
  if (!/^[^\r\n<>]*<[^\s<>@]+@[^\s<>@]+>$|^[^\s<>@]+@[^\s<>@]+$/.test(value))
    throw new RangeError(value);
  return value;
}

/** `name=value,name=value`, values percent-encoded, as OpenTelemetry writes lists. */
export function pairs(value: string): Record<string, string> {
  const entries = value.split(",").filter((entry) => entry.trim() !== "");
  return Object.fromEntries(
    entries.map((entry) => {
      const [name = "", ...rest] = entry.split("=");
      if (name.trim() === "" || rest.length === 0) throw new RangeError("no pair");
      return [name.trim(), decodeURIComponent(rest.join("=").trim())];
    }),
  );
}

/** Names and values that are valid in HTTP. */
export function headers(value: string): Record<string, string> {
  const found = pairs(value);
  void new Headers(found);
  return found;
}

/** A number from 0. */
export function amount(value: string): number {
  const number = Number(value);
  if (value.trim() === "" || !(number >= 0 && number < Infinity)) throw new RangeError(value);
  return number;
}

/** A whole number from 0. */
export const COUNT = whole(0, Number.MAX_SAFE_INTEGER);
/** Bytes. */
export const MIB = 1024 * 1024;
/** Bytes. */
export const GIB = 1024 * MIB;
