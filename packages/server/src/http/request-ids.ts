/** The format of ids from a proxy, which are written to the log and to a response. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** Creates request ids for the log and for responses. */
export class RequestIds {
  readonly #prefix: string;
  readonly #isNamedByProxy: boolean;
  #made = 0;

  /**
   * @param prefix a text that differs for each process
   * @param isNamedByProxy whether a trusted proxy may have set an id
   */
  constructor(prefix: string, isNamedByProxy: boolean) {
    this.#prefix = prefix;
    this.#isNamedByProxy = isNamedByProxy;
  }

  /** @param request null if it is not known */
  of(request: Request | null): string {
    const given = this.#isNamedByProxy ? request?.headers.get("x-request-id") : undefined;
    if (typeof given === "string" && REQUEST_ID.test(given)) return given;
    return `${this.#prefix}-${(this.#made += 1).toString(36)}`;
  }
}
