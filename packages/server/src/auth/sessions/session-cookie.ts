import { parse, serialize } from "cookie";

/** How the cookie is called and sent; as in `Set-Cookie`. */
export interface CookieSettings {
  readonly name: string;
  readonly domain: string | undefined;
  readonly sameSite: "lax" | "strict" | "none";
  readonly secure: boolean;
}

/** The cookie that carries a session's token for web pages. No script can read it. */
export class SessionCookie {
  readonly #settings: () => CookieSettings;

  constructor(settings: () => CookieSettings) {
    this.#settings = settings;
  }

  /** The token that the request's cookie carries, or null. */
  read(headers: Headers): string | null {
    return readCookie(headers, this.#settings().name);
  }

  /** The `Set-Cookie` that keeps the token. @param maxAgeMs milliseconds */
  keep(token: string, maxAgeMs: number): string {
    return this.#set(token, Math.floor(maxAgeMs / 1000));
  }

  /** The `Set-Cookie` that takes the token away. */
  clear(): string {
    return this.#set("", 0);
  }

  /**
   * Another cookie under the same rules, such as that of a trusted device.
   *
   * @param maxAgeMs milliseconds; 0 takes it away
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

  /** The value of another cookie, as `other` sets it, or null. */
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
