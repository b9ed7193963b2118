import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SMTPServer } from "smtp-server";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load-config.ts";
import { Log } from "../observe/log.ts";
import { systemPlatform } from "../platform.ts";
import type { Mail } from "./mailer.ts";
import { openMailer } from "./open-mailer.ts";
import { renderMail } from "./templates.ts";

const MAIL: Mail = {
  to: "ann@example.com",
  subject: "Your code",
  text: "It is 123456.",
  html: "<p>It is 123456.</p>",
};
const FROM = "Shop <shop@example.com>";

interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

let receiver: Bun.Server<undefined>;
let received: Received[] = [];
/** The next responses of the receiver; 200 when there are none left. */
let answers: number[] = [];

beforeAll(() => {
  receiver = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      received.push({
        path: new URL(request.url).pathname,
        headers: request.headers.toJSON(),
        body: await request.json(),
      });
      const status = answers.shift() ?? 200;
      return new Response("{}", {
        status,
        headers: status === 302 ? { Location: "http://127.0.0.1:1/" } : {},
      });
    },
  });
});
afterAll(() => receiver.stop(true));

const lines: string[] = [];
const log = new Log({
  level: "debug",
  format: "json",
  now: Date.now,
  write: (line) => lines.push(line),
});

function emailOf(env: Record<string, string>): Config["email"] {
  return loadConfig({ PYLON_EMAIL_FROM: FROM, ...env }).email;
}

function mailer(env: Record<string, string>): ReturnType<typeof openMailer> {
  received = [];
  answers = [];
  return openMailer(emailOf(env), { dev: false, platform: systemPlatform, log });
}

describe("a provider's API", () => {
  const url = (): string => `${receiver.url.href}mails`;
  const providers: [string, Record<string, string>, unknown][] = [
    [
      "resend",
      { PYLON_EMAIL_API_KEY: "the-key" },
      { from: FROM, to: [MAIL.to], subject: MAIL.subject, text: MAIL.text, html: MAIL.html },
    ],
    [
      "sendgrid",
      { PYLON_EMAIL_API_KEY: "the-key" },
      {
        personalizations: [{ to: [{ email: MAIL.to }] }],
        from: { email: "shop@example.com", name: "Shop" },
        subject: MAIL.subject,
        content: [
          { type: "text/plain", value: MAIL.text },
          { type: "text/html", value: MAIL.html },
        ],
      },
    ],
    ["webhook", { PYLON_EMAIL_API_KEY: "the-key" }, { from: FROM, ...MAIL }],
  ];

  test.each(providers)(
    "%s gets the mail in its format, with the key as bearer",
    async (provider, env, body) => {
      await mailer({ PYLON_EMAIL_PROVIDER: provider, PYLON_EMAIL_HTTP_URL: url(), ...env }).send(
        MAIL,
      );
      expect(
        received.map(({ path, headers, body: got }) => [path, headers["authorization"], got]),
      ).toEqual([["/mails", "Bearer the-key", body]]);
    },
  );

  test.each(["resend", "webhook"])("%s gets the key of the mail", async (provider) => {
    const way = mailer({
      PYLON_EMAIL_PROVIDER: provider,
      PYLON_EMAIL_API_KEY: "the-key",
      PYLON_EMAIL_HTTP_URL: url(),
    });
    answers = [503];
    await way.send({ ...MAIL, key: "0a1b" });
    expect(received.map(({ headers }) => headers["idempotency-key"])).toEqual(["0a1b", "0a1b"]);
    expect(JSON.stringify(received.map(({ body }) => body))).not.toContain("0a1b");
  });

  test("that is busy is retried twice", async () => {
    const resend = mailer({
      PYLON_EMAIL_PROVIDER: "resend",
      PYLON_EMAIL_API_KEY: "the-key",
      PYLON_EMAIL_HTTP_URL: url(),
    });
    answers = [503, 429];
    await resend.send(MAIL);
    expect(received).toHaveLength(3);
  });

  test("that rejects or redirects is not retried; the log says why, without secrets", async () => {
    const resend = mailer({
      PYLON_EMAIL_PROVIDER: "resend",
      PYLON_EMAIL_API_KEY: "the-key",
      PYLON_EMAIL_HTTP_URL: url(),
    });
    for (const status of [401, 302]) {
      answers = [status];
      received = [];
      lines.length = 0;
      await expect(resend.send(MAIL)).rejects.toMatchObject({
        code: "EMAIL_NOT_SENT",
        status: 503,
      });
      expect(received).toHaveLength(1);
      expect(lines.join()).toContain(`the provider returned status ${status}`);
      for (const secret of ["the-key", "123456", "ann@"])
        expect(lines.join()).not.toContain(secret);
    }
  });

  test("of Amazon gets a signature", async () => {
    const ses = openMailer(
      loadConfig({
        PYLON_EMAIL_FROM: FROM,
        PYLON_EMAIL_PROVIDER: "ses",
        PYLON_EMAIL_HTTP_URL: receiver.url.href,
        AWS_REGION: "eu-west-1",
      }).email,
      { dev: false, platform: systemPlatform, log },
    );
    received = [];
    const before = {
      id: process.env["AWS_ACCESS_KEY_ID"],
      secret: process.env["AWS_SECRET_ACCESS_KEY"],
    };
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" });
    try {
      await ses.send(MAIL);
    } finally {
      for (const [name, value] of [
        ["AWS_ACCESS_KEY_ID", before.id],
        ["AWS_SECRET_ACCESS_KEY", before.secret],
      ] as const) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
    expect(received[0]?.headers["authorization"]).toContain("/eu-west-1/ses/aws4_request");
    expect(received[0]?.body).toMatchObject({
      FromEmailAddress: FROM,
      Destination: { ToAddresses: [MAIL.to] },
      Content: { Simple: { Subject: { Data: MAIL.subject }, Body: { Text: { Data: MAIL.text } } } },
    });
  });
});

describe("SMTP", () => {
  test.each([
    "mary.o'brien@example.com",
    "r&d@example.com",
    "bounce+user=host@example.com",
    "{a|b}~!#$%*?^`@example.com",
    "josé@example.com",
  ])("U: sends to %s as it stands", async (to) => {
    const recipients: string[] = [];
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS"],
      onRcptTo: ({ address }, _session, done) => {
        recipients.push(address);
        done();
      },
      onData: (stream, _session, done) => {
        stream.resume();
        stream.on("end", () => done());
      },
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.server.address() as { port: number };
    try {
      await mailer({ PYLON_SMTP_URL: `smtp://127.0.0.1:${port}` }).send({ ...MAIL, to });
      expect(recipients).toEqual([to]);
    } finally {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });

  test("signs in over TLS if that is offered, and reports a wrong password", async () => {
    const seen: { user: string; isTls: boolean; raw: string }[] = [];
    let user = "";
    const server = new SMTPServer({
      onAuth: ({ username = "", password }, _session, done) => {
        user = username;
        if (password === "p@ss/word") done(null, { user: username });
        else done(new Error("no"));
      },
      onData: (stream, session, done) => {
        let raw = "";
        stream.on("data", (chunk: Buffer) => (raw += chunk.toString()));
        stream.on("end", () => {
          seen.push({ user, isTls: session.secure, raw });
          done();
        });
      },
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.server.address() as { port: number };
    try {
      // The server's certificate is self-signed: only a test accepts it.
      process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
      await mailer({
        PYLON_SMTP_URL: `smtp://pylon:${encodeURIComponent("p@ss/word")}@127.0.0.1:${port}`,
      }).send({ ...MAIL, key: "0a1b" });
      expect(seen).toMatchObject([
        {
          user: "pylon",
          isTls: true,
          raw: expect.stringMatching(
            /^From: Shop <shop@example\.com>$[^]*^Message-ID: <0a1b@example\.com>$/mu,
          ),
        },
      ]);
      lines.length = 0;
      await expect(
        mailer({ PYLON_SMTP_URL: `smtp://pylon:wrong-password@127.0.0.1:${port}` }).send(MAIL),
      ).rejects.toMatchObject({ code: "EMAIL_NOT_SENT" });
      expect(lines.join()).toContain("EAUTH");
      expect(lines.join()).not.toContain("wrong-password");
    } finally {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });

  test("that is unreachable causes an error, soon", async () => {
    await expect(mailer({ PYLON_SMTP_URL: "smtp://127.0.0.1:1" }).send(MAIL)).rejects.toMatchObject(
      { code: "EMAIL_NOT_SENT" },
    );
  });
});

test("an address or a subject of two lines is rejected", async () => {
  const webhook = mailer({
    PYLON_EMAIL_PROVIDER: "webhook",
    PYLON_EMAIL_HTTP_URL: receiver.url.href,
  });
  for (const wrong of [
    { to: "a@example.com\r\nBcc: b@example.com" },
    { subject: "x\nBcc: b@example.com" },
  ])
    await expect(webhook.send({ ...MAIL, ...wrong })).rejects.toMatchObject({
      code: "INVALID_DATA",
    });
  expect(received).toEqual([]);
});

test.each([
  [{ PYLON_EMAIL_PROVIDER: "pigeon" }, "PYLON_EMAIL_PROVIDER"],
  [{ PYLON_EMAIL_PROVIDER: "resend" }, "PYLON_EMAIL_API_KEY"],
  [{ PYLON_EMAIL_PROVIDER: "webhook" }, "PYLON_EMAIL_HTTP_URL"],
  [{ PYLON_EMAIL_PROVIDER: "smtp" }, "PYLON_SMTP_URL"],
  [{ PYLON_SMTP_URL: "http://mail.example.com" }, "PYLON_SMTP_URL"],
  [{ PYLON_EMAIL_PROVIDER: "ses", PYLON_EMAIL_FROM: "" }, "PYLON_EMAIL_FROM"],
  [{ PYLON_EMAIL_FROM: "a@example.com\nBcc: b@example.com" }, "PYLON_EMAIL_FROM"],
] as Record<string, string>[][])("%j stops the start and names %s", (env, name) => {
  expect(() => emailOf(env)).toThrow(String(name));
});

test("without a provider there is a mailbox in dev mode, and otherwise no mailer", async () => {
  const dev = openMailer(null, { dev: true, platform: systemPlatform, log });
  lines.length = 0;
  await dev.send(MAIL);
  expect(lines.join()).toContain("/studio/mail");
  expect(lines.join()).not.toContain("123456");
  await expect(
    openMailer(null, { dev: false, platform: systemPlatform, log }).send(MAIL),
  ).rejects.toMatchObject({ code: "EMAIL_NOT_CONFIGURED" });
});

test("values in a mail are text, and the app's own templates are used", () => {
  const nasty = "<script>alert(1)</script>";
  const { subject, text, html } = renderMail("invitation", {
    appName: nasty,
    organization: nasty,
    inviter: '"><img>',
    link: 'https://example.com/"onclick="x',
  });
  expect(html).not.toMatch(/<script|<img|"onclick/);
  expect(text).toContain("https://example.com/");
  expect(subject).toContain("Join");
  const own = renderMail(
    "sign-in-code",
    { appName: "Shop", code: "123456" },
    { "sign-in-code": ({ code }) => ({ subject: "Hi", text: `<${String(code)}>` }) },
  );
  expect(own).toMatchObject({ subject: "Hi", text: "<123456>" });
  expect(own.html).toContain("&lt;123456&gt;");
});
