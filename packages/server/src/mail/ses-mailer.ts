import type { SESv2Client } from "@aws-sdk/client-sesv2";
import { MailFailure } from "./mail-error.ts";
import type { Mail, Mailer } from "./mailer.ts";

/**
 * Sends through Amazon SES, with the credentials that the AWS SDK finds: on ECS those of the task
 * role.
 */
export class SesMailer implements Mailer {
  readonly canSend = true;
  readonly #from: string;
  readonly #region: string;
  readonly #endpoint: string | undefined;
  #client: SESv2Client | undefined;

  /** @param endpoint replaces the region's own */
  constructor(from: string, region: string, endpoint?: string) {
    this.#from = from;
    this.#region = region;
    this.#endpoint = endpoint;
  }

  async send({ to, subject, text, html }: Mail): Promise<void> {
    const { SESv2Client, SendEmailCommand } = await import("@aws-sdk/client-sesv2");
    this.#client ??= new SESv2Client({
      region: this.#region,
      maxAttempts: 3,
      ...(this.#endpoint === undefined ? {} : { endpoint: this.#endpoint }),
    });
    const utf8 = (Data: string): { Data: string; Charset: string } => ({ Data, Charset: "UTF-8" });
    const Simple = { Subject: utf8(subject), Body: { Text: utf8(text), Html: utf8(html) } };
    try {
      await this.#client.send(
        new SendEmailCommand({
          FromEmailAddress: this.#from,
          Destination: { ToAddresses: [to] },
          Content: { Simple },
        }),
      );
    } catch (error) {
      throw new MailFailure(error instanceof Error ? reasonOf(error) : "unknown");
    }
  }
}

function reasonOf({ name }: Error): string {
  const isForbidden = name === "AccessDeniedException";
  return `${name}: ${isForbidden ? "the role needs ses:SendEmail" : "SES rejected the mail"}`;
}
