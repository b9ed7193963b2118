import { parse, serialize } from "cookie";

/** The name and attributes of the cookie, as in `Set-Cookie`. */
export interface CookieSettings {
  readonly name: string;
  readonly domain: string | undefined;
  readonly sameSite: "lax" | "strict" | "none";
  readonly secure: boolean;
}

/** The cookie that contains a session's token for web pages. No script can read it. */
export class SessionCookie {
  readonly #settings: () => CookieSettings;

  constructor(settings: () => CookieSettings) {
    this.#settings = settings;
  }

  /** Returns the token in the request's cookie, or null. */
  read(headers: Headers): string | null {
    return readCookie(headers, this.#settings().name);
  }

  /** Returns the `Set-Cookie` that stores the token. @param maxAgeMs milliseconds */
  keep(token: string, maxAgeMs: number): string {
    return this.#set(token, Math.floor(maxAgeMs / 1000));
  }

  /** Returns the `Set-Cookie` that deletes the token. */
  clear(): string {
    return this.#set("", 0);
  }

  /**
   * Returns the `Set-Cookie` of another cookie with the same rules, such as a trusted device's.
   *
   * @param maxAgeMs milliseconds; 0 deletes it
   */
  other(suffix: string, value: string, maxAgeMs: number, path = "/api/auth"): string {
    const { name, domain, secure } = this.#settings();
    return serialize(`${name}_${suffix}`, value, {
      httpOnly: true,
      path,
      sameSite: "lax",
      secure,
      maxAge: Math.floor(maxAgeMs / 1000),
      ...(domain === undefined ? {} : { domain }),
    });
  }

  /** Returns the value of another cookie, as set by `other`, or null. */
  readOther(headers: Headers, suffix: string): string | null {
    return readCookie(headers, `${this.#settings().name}_${suffix}`);
  }

  #set(value: string, maxAge: number): string {
    const { name, domain, sameSite, secure } = this.#settings();
    return serialize(name, value, {
      httpOnly: true,
      path: "/",
      sameSite,
      secure,
      maxAge,
      ...(domain === undefined ? {} : { domain }),
    });
  }
}

function readCookie(headers: Headers, name: string): string | null {
  const header = headers.get("cookie");
  if (header === null || !header.includes(name)) return null;
  return parse(header)[name] || null;
}
