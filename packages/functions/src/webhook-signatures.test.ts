import { PylonError } from "@pylonsync/protocol";
import { createHmac } from "node:crypto";
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  verifyGithub,
  verifyStripe,
  verifySvix,
  type SignedRequest,
} from "./webhook-signatures.ts";

const NOW = 1_700_000_000_000;
const AT = String(NOW / 1000);
const options = { now: NOW };
const BODY = '{"id":"evt_1","n":"ä"}';
const KEY = Buffer.from("a secret of some length");
const SVIX_SECRET = `whsec_${KEY.toString("base64")}`;

const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text);
const stripe = (secret: string, at = AT, body = BODY): string =>
  `t=${at},v1=${hmac(secret, `${at}.${body}`).digest("hex")}`;
const svix = (key: Buffer, at = AT, body = BODY): string =>
  `v1,${hmac(key, `msg_1.${at}.${body}`).digest("base64")}`;

function asked(headers: Readonly<Record<string, string>>, body = BODY): Request {
  return new Request("http://x/", { method: "POST", headers, body });
}

async function refused(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof PylonError ? error.code : `not refused: ${String(error)}`;
}

const svixHeaders = (signature: string, at = AT, prefix = "svix") => ({
  [`${prefix}-id`]: "msg_1",
  [`${prefix}-timestamp`]: at,
  [`${prefix}-signature`]: signature,
});

test("a correctly signed request passes, with its id, its body and its JSON", async () => {
  const whole = { body: BODY, json: { id: "evt_1", n: "ä" } };
  const byStripe = asked({ "stripe-signature": `${stripe("s")},v0=00` });
  expect(await verifyStripe(byStripe, "s", options)).toEqual({ id: "evt_1", ...whole });
  const byGithub = asked({
    "x-hub-signature-256": `sha256=${hmac("s", BODY).digest("hex")}`,
    "x-github-delivery": "d1",
  });
  expect(await verifyGithub(byGithub, "s")).toEqual({ id: "d1", ...whole });
  for (const prefix of ["svix", "webhook"]) {
    const request = asked(svixHeaders(`v2,xx ${svix(KEY)}`, AT, prefix));
    expect(await verifySvix(request, SVIX_SECRET, options)).toEqual({ id: "msg_1", ...whole });
  }
});

test("the request of a webhook's action is verified in the same way", async () => {
  const request: SignedRequest = { headers: { "stripe-signature": stripe("s") }, rawBody: BODY };
  expect((await verifyStripe(request, "s", options)).id).toBe("evt_1");
});

test("the bytes of the body are verified, with a byte order mark or invalid UTF-8", async () => {
  const marked = Buffer.from(`\u{feff}${BODY}`);
  const signed = `t=${AT},v1=${hmac("s", `${AT}.\u{feff}${BODY}`).digest("hex")}`;
  const request = new Request("http://x/", {
    method: "POST",
    headers: { "stripe-signature": signed },
    body: marked,
  });
  expect(await verifyStripe(request, "s", options)).toEqual({
    id: "evt_1",
    body: BODY,
    json: { id: "evt_1", n: "ä" },
  });
  const bytes = Buffer.from([0xff, 0x00, 0xc3]);
  const byGithub = new Request("http://x/", {
    method: "POST",
    headers: {
      "x-hub-signature-256": `sha256=${createHmac("sha256", "s").update(bytes).digest("hex")}`,
      "x-github-delivery": "d1",
    },
    body: bytes,
  });
  expect((await verifyGithub(byGithub, "s")).json).toBeUndefined();
});

test("events of Stripe never share an id, because one without an id is refused", async () => {
  for (const body of ["{}", '{"id":null}', '{"id":7}', '{"id":""}', "[]", "null", "text"]) {
    const header = { "stripe-signature": stripe("s", AT, body) };
    expect(await refused(verifyStripe(asked(header, body), "s", options))).toBe(
      "INVALID_SIGNATURE",
    );
  }
});

test("one of several secrets is enough, while one replaces another", async () => {
  const header = { "stripe-signature": stripe("old") };
  expect((await verifyStripe(asked(header), ["new", "old"], options)).id).toBe("evt_1");
  expect(await refused(verifyStripe(asked(header), ["new"], options))).toBe("INVALID_SIGNATURE");
});

test("a signature is too old, or too far ahead, beyond the tolerance", async () => {
  for (const [seconds, ok] of [
    [299, true],
    [301, false],
    [-299, true],
    [-301, false],
  ] as const) {
    const at = String(NOW / 1000 - seconds);
    const outcomes = [
      await refused(verifyStripe(asked({ "stripe-signature": stripe("s", at) }), "s", options)),
      await refused(verifySvix(asked(svixHeaders(svix(KEY, at), at)), SVIX_SECRET, options)),
    ];
    for (const outcome of outcomes) expect(outcome === "INVALID_SIGNATURE").toBe(!ok);
  }
  const old = asked({ "stripe-signature": stripe("s", String(NOW / 1000 - 3000)) });
  expect((await verifyStripe(old, "s", { now: NOW, toleranceSecs: 3600 })).id).toBe("evt_1");
});

test("nothing else passes, whatever the headers contain", async () => {
  const text = fc.string({ unit: "grapheme-ascii", maxLength: 40 }).map((value) => value.trim());
  await fc.assert(
    fc.asyncProperty(text, text, async (signature, body) => {
      const checks = [
        () =>
          verifyStripe(
            asked({ "stripe-signature": `t=${AT},v1=${signature}` }, body),
            "s",
            options,
          ),
        () => verifyStripe(asked({ "stripe-signature": signature }, body), "s", options),
        () => verifyGithub(asked({ "x-hub-signature-256": `sha256=${signature}` }, body), "s"),
        () => verifyGithub(asked({ "x-hub-signature-256": signature }, body), "s"),
        () => verifySvix(asked(svixHeaders(`v1,${signature}`), body), SVIX_SECRET, options),
        () => verifySvix(asked({}, body), SVIX_SECRET, options),
      ];
      for (const check of checks) expect(await refused(check())).toBe("INVALID_SIGNATURE");
    }),
  );
  const changed = asked({ "stripe-signature": stripe("s") }, BODY.replace("1", "2"));
  expect(await refused(verifyStripe(changed, "s", options))).toBe("INVALID_SIGNATURE");
});

test("an empty secret, and one that is not base64, is an error of the app", async () => {
  const byStripe = asked({ "stripe-signature": stripe("") });
  await expect(verifyStripe(byStripe, "", options)).rejects.toThrow(TypeError);
  const bySvix = asked(svixHeaders(svix(KEY)));
  await expect(verifySvix(bySvix, "whsec_!!!", options)).rejects.toThrow(TypeError);
});
