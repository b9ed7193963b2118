import type { Platform } from "../platform/platform.ts";

/**
 * Detects that the page's files no longer exist: code can't be loaded although the server responds.
 * The server is checked, because the network may be down, and the files may be on another host.
 */
export class CodeWatch {
  readonly #baseUrl: string;
  readonly #platform: Platform;
  readonly #onChange: () => void;
  readonly #missing = new Set<object>();

  constructor(baseUrl: string, platform: Platform, onChange: () => void) {
    this.#baseUrl = baseUrl;
    this.#platform = platform;
    this.#onChange = onChange;
  }

  /** Whether a newer version of the app was deployed that removed code which this page needs. */
  get isOutdated(): boolean {
    return this.#missing.size > 0;
  }

  /**
   * Watches one module. @returns a function to report whether loading succeeded, at each attempt
   */
  watch(): (isLoaded: boolean) => void {
    const part = {};
    let tries = 0;
    const set = (isMissing: boolean): void => {
      if (isMissing === this.#missing.has(part)) return;
      if (isMissing) this.#missing.add(part);
      else this.#missing.delete(part);
      this.#onChange();
    };
    return (isLoaded) => {
      const current = (tries += 1);
      if (isLoaded) return set(false);
      // The result for an earlier attempt is irrelevant.
      const say = (isMissing: boolean): void => {
        if (current === tries) set(isMissing);
      };
      this.#isServerThere().then(say, () => say(false));
    };
  }

  /** Not through an `HttpClient`: its code may be what can't be loaded. */
  async #isServerThere(): Promise<boolean> {
    const response = await this.#platform.fetch(`${this.#baseUrl}/api/auth/me`, {});
    const answer: object = Object(await response.json());
    return "user_id" in answer || "error" in answer;
  }
}
