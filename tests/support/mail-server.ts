import { SMTPServer } from "smtp-server";
import { until } from "./client.ts";

export interface MailServer {
  /** For PYLON_SMTP_URL. */
  readonly url: string;
  /** All mails as they came over the wire, decoded, the newest last. */
  readonly mails: readonly {
    readonly to: string;
    readonly subject: string;
    readonly text: string;
    readonly html: string;
  }[];
  /**
   * Returns the newest mail to an address, once there are as many as `count`.
   *
   * @param about only mails with such a text: notices arrive at any time in between
   */
  readonly to: (
    address: string,
    count?: number,
    about?: RegExp,
  ) => Promise<{ readonly subject: string; readonly text: string; readonly html: string }>;
  /** The number of mails to an address so far. */
  readonly countTo: (address: string, about?: RegExp) => number;
  readonly stop: () => Promise<void>;
}

/** A real SMTP server on loopback that stores what it receives. */
export async function startMailServer(
  options: {
    readonly user?: string;
    readonly password?: string;
    /** Called for each mail: whether the server is busy. */
    readonly refuses?: () => boolean;
  } = {},
): Promise<MailServer> {
  const mails: { to: string; subject: string; text: string; html: string }[] = [];
  const server = new SMTPServer({
    authOptional: options.user === undefined,
    disabledCommands: ["STARTTLS"],
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, done) =>
      username === options.user && password === options.password
        ? done(null, { user: username })
        : done(new Error("Wrong user or password")),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        if (options.refuses?.() === true) {
          done(Object.assign(new Error("Try again later"), { responseCode: 451 }));
          return;
        }
        const raw = Buffer.concat(chunks).toString();
        mails.push({
          to: session.envelope.rcptTo.map(({ address }) => address).join(),
          subject: decodeWords(/^Subject: ((?:.|\r\n[ \t])*)$/m.exec(raw)?.[1] ?? ""),
          text: partOf(raw, "text/plain"),
          html: partOf(raw, "text/html"),
        });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const found = (wanted: string, about?: RegExp): typeof mails =>
    mails.filter(({ to, text }) => to === wanted && (about?.test(text) ?? true));
  const credentials =
    options.user === undefined
      ? ""
      : `${encodeURIComponent(options.user)}:${encodeURIComponent(options.password ?? "")}@`;
  return {
    url: `smtp://${credentials}127.0.0.1:${port}`,
    mails,
    to: async (wanted, count = 1, about) => {
      await until(() => found(wanted, about).length >= count);
      return found(wanted, about).at(-1) as (typeof mails)[number];
    },
    countTo: (wanted, about) => found(wanted, about).length,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** The part of this type of a message, in whichever of the two encodings it came. */
function partOf(raw: string, type: "text/plain" | "text/html"): string {
  const part = raw.slice(raw.indexOf(type));
  const [head = "", ...rest] = part.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n").split(/\r\n--/)[0] ?? "";
  if (/base64/i.test(head)) return Buffer.from(body, "base64").toString();
  return /quoted-printable/i.test(head)
    ? body
        .replaceAll(/=\r\n/g, "")
        .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    : body;
}

function decodeWords(text: string): string {
  return text
    .replaceAll(/\r\n[ \t]/g, " ")
    .replaceAll(/=\?utf-8\?B\?([^?]*)\?=/gi, (_, base64: string) =>
      Buffer.from(base64, "base64").toString(),
    );
}
