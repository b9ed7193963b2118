import { PylonError, type ErrorCode } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { parseEmail } from "../../schema/email-address.ts";
import { isRecord } from "../../util/is-record.ts";

const MAX_TEXT = 1024;
const EMPTY: ReadonlySet<unknown> = new Set([undefined, null, ""]);
/** The error code of a request without the field. */
const MISSING = {
  email: "MISSING_EMAIL",
  new_email: "MISSING_NEW_EMAIL",
  password: "MISSING_PASSWORD",
  newPassword: "MISSING_NEW_PASSWORD",
  currentPassword: "MISSING_CURRENT_PASSWORD",
  code: "MISSING_CODE",
  token: "MISSING_TOKEN",
  user_id: "MISSING_USER_ID",
  name: "MISSING_NAME",
  role: "MISSING_ROLE",
  orgId: "MISSING_ORG_ID",
} as const satisfies Readonly<Record<string, ErrorCode>>;

/** The fields of a request's JSON body, each read by name. */
export class AuthInput {
  readonly #body: Readonly<Record<string, unknown>>;

  private constructor(body: Readonly<Record<string, unknown>>) {
    this.#body = body;
  }

  /** @throws PylonError INVALID_JSON, INVALID_DATA */
  static async of(context: Pick<RequestContext, "json">): Promise<AuthInput> {
    const body = await context.json({});
    if (!isRecord(body)) throw new PylonError("INVALID_DATA", "The body must be a JSON object.");
    return new AuthInput(body);
  }

  /** The body as received, for a library that checks it. */
  get raw(): unknown {
    return this.#body;
  }

  /** Returns a required text. @throws PylonError the field's code in MISSING, INVALID_DATA */
  text(field: keyof typeof MISSING, maxLength = MAX_TEXT): string {
    const value = this.optionalText(field, maxLength);
    if (value !== undefined && value !== "") return value;
    throw new PylonError(MISSING[field], `"${field}" is missing.`, {
      field,
      hint: `Send {"${field}": "..."}.`,
    });
  }

  /**
   * Like `text`, also under other names.
   *
   * @param others names that other clients use for the field
   */
  textAs(field: keyof typeof MISSING, others: readonly string[], maxLength = MAX_TEXT): string {
    const name = this.#sentAs([field, ...others]) ?? field;
    return this.optionalText(name, maxLength) || this.text(field, maxLength);
  }

  /** Returns an optional text. @throws PylonError INVALID_DATA */
  optionalText(field: string, maxLength = MAX_TEXT): string | undefined {
    const value = Object.hasOwn(this.#body, field) ? this.#body[field] : undefined;
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "string")
      throw new PylonError("INVALID_DATA", `"${field}" must be a string.`, { field });
    if (value.length > maxLength)
      throw new PylonError("INVALID_DATA", `"${field}" may have at most ${maxLength} characters.`, {
        field,
      });
    if (value.includes("\0") || !value.isWellFormed())
      throw new PylonError("INVALID_DATA", `"${field}" contains an invalid character.`, {
        field,
      });
    return value;
  }

  /**
   * Returns text or an explicit null; one of them is required.
   *
   * @param others names that other clients use for the field
   * @throws PylonError the field's code in MISSING, INVALID_DATA
   */
  textOrNull(field: keyof typeof MISSING, others: readonly string[]): string | null {
    const name = [field, ...others].find((one) => Object.hasOwn(this.#body, one));
    if (name !== undefined) return this.optionalText(name) ?? null;
    throw new PylonError(MISSING[field], `"${field}" is missing.`, {
      field,
      hint: `Send {"${field}": "..."}, or null.`,
    });
  }

  /** Returns an optional list of texts. @throws PylonError INVALID_DATA */
  optionalTexts(field: string, maxLength: number): string[] | undefined {
    const value = Object.hasOwn(this.#body, field) ? this.#body[field] : undefined;
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
      throw new PylonError("INVALID_DATA", `"${field}" must be a list of strings.`, { field });
    if (value.length > maxLength)
      throw new PylonError("INVALID_DATA", `"${field}" may have at most ${maxLength} entries.`, {
        field,
      });
    return value;
  }

  /**
   * Returns an optional time: ISO 8601, or seconds since 1970.
   *
   * @returns milliseconds since 1970, or null
   * @throws PylonError INVALID_DATA
   */
  optionalTime(field: string): number | null {
    const value = Object.hasOwn(this.#body, field) ? this.#body[field] : undefined;
    if (value === undefined || value === null) return null;
    const time =
      typeof value === "number"
        ? value * 1000
        : typeof value === "string"
          ? Date.parse(value)
          : Number.NaN;
    // The maximum of a date in JavaScript.
    if (Number.isFinite(time) && Math.abs(time) <= 8.64e15) return time;
    throw new PylonError(
      "INVALID_DATA",
      `"${field}" must be a date such as 2026-12-31T00:00:00Z, or seconds since 1970.`,
      { field },
    );
  }

  /** Returns an optional boolean, false if it is missing. @throws PylonError INVALID_DATA */
  optionalFlag(field: string): boolean {
    const value = Object.hasOwn(this.#body, field) ? this.#body[field] : undefined;
    if (value === undefined || value === null) return false;
    if (typeof value !== "boolean")
      throw new PylonError("INVALID_DATA", `"${field}" must be true or false.`, { field });
    return value;
  }

  /**
   * Returns an email address in the form in which it is compared.
   *
   * @param others names that other clients use for the field
   * @throws PylonError MISSING_EMAIL or MISSING_NEW_EMAIL, INVALID_EMAIL
   */
  email(field: "email" | "new_email" = "email", others: readonly string[] = []): string {
    const email = parseEmail(this.textAs(field, others));
    if (email !== null) return email;
    throw new PylonError("INVALID_EMAIL", "This is not a valid email address.", {
      field: this.#sentAs([field, ...others]) ?? field,
      hint: "Send an address such as ann@example.com.",
    });
  }

  /** Returns the first of the names for which the body has a value. */
  #sentAs(names: readonly string[]): string | undefined {
    return names.find((name) => Object.hasOwn(this.#body, name) && !EMPTY.has(this.#body[name]));
  }
}
