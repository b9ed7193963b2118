import pRetry, { AbortError } from "p-retry";
import type { Platform } from "../platform.ts";
import { timeoutSignal } from "../util/timeout-signal.ts";
import { MailFailure } from "./mail-error.ts";
import type { Mail, Mailer } from "./mailer.ts";

const TIMEOUT_MS = 10_000;
const RETRIES = 2;

/** The API of one provider. */
export interface HttpMailApi {
  readonly url: string;
  /** Sent as `Authorization: Bearer`; null: none. */
  readonly apiKey: string | null;
  readonly body: (mail: Omit<Mail, "key"> & { readonly from: string }) => unknown;
}

/** Sends through a provider's HTTP API, or to a webhook of the app's operator. */
export class HttpMailer implements Mailer {
  readonly canSend = true;
  readonly #api: HttpMailApi;
  readonly #from: string;

  readonly #platform: Pick<Platform, "after">;

  constructor(api: HttpMailApi, from: string, platform: Pick<Platform, "after">) {
    this.#platform = platform;
    this.#api = api;
    this.#from = from;
  }

  /** Retries twice if the provider is busy or temporarily unreachable. */
  async send(mail: Mail): Promise<void> {
    await pRetry(() => this.#post(mail), { retries: RETRIES, minTimeout: 300, factor: 3 });
  }

  async #post({ key, ...mail }: Mail): Promise<void> {
    const { url, apiKey, body } = this.#api;
    let response: Response;
    try {
      response = await fetch(url, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          ...(apiKey === null ? {} : { Authorization: `Bearer ${apiKey}` }),
          ...(key === undefined ? {} : { "Idempotency-Key": key }),
        },
        body: JSON.stringify(body({ from: this.#from, ...mail })),
        redirect: "manual",
        signal: timeoutSignal(this.#platform, TIMEOUT_MS),
      });
    } catch (error) {
      throw new MailFailure(error instanceof Error ? error.name : "unknown");
    }
    await response.body?.cancel();
    if (response.ok) return;
    const failure = new MailFailure(`the provider returned status ${response.status}`);
    throw response.status === 429 || response.status >= 500 ? failure : new AbortError(failure);
  }
}

/** The API of Resend. @param url replaces its own, for tests and proxies */
export function resendApi(apiKey: string, url = "https://api.resend.com/emails"): HttpMailApi {
  return {
    url,
    apiKey,
    body: ({ from, to, subject, text, html }) => ({ from, to: [to], subject, text, html }),
  };
}

/** The API of SendGrid. @param url replaces its own, for tests and proxies */
export function sendgridApi(
  apiKey: string,
  url = "https://api.sendgrid.com/v3/mail/send",
): HttpMailApi {
  return {
    url,
    apiKey,
    body: ({ from, to, subject, text, html }) => ({
      personalizations: [{ to: [{ email: to }] }],
      from: parseAddress(from),
      subject,
      content: [
        { type: "text/plain", value: text },
        { type: "text/html", value: html },
      ],
    }),
  };
}

/** A webhook of the operator, which receives the mail as JSON. @param apiKey null: none is sent */
export function webhookApi(url: string, apiKey: string | null): HttpMailApi {
  return { url, apiKey, body: (mail) => mail };
}

/** Splits an address such as `Pylon <no-reply@example.com>`. */
function parseAddress(address: string): { email: string; name?: string } {
  const [, name = "", email = ""] = /^(.*)<([^<>]+)>$/.exec(address) ?? [];
  return email === ""
    ? { email: address }
    : { email, ...(name.trim() === "" ? {} : { name: name.trim() }) };
}
