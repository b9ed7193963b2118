import { error, notChecked, pass, warning, type Check } from "./check.ts";
import { isSet, type ProductionSettings } from "./production-settings.ts";

/**
 * More proxies of one's own than this in a row are unheard of; each too many lets callers choose
 * their address.
 */
const MANY_HOPS = 3;

/** How browsers reach the server, and what they may do there. */
export function checkWeb(settings: ProductionSettings, hasUsers: boolean | null): Check[] {
  return [
    checkDevMode(settings),
    checkCors(settings),
    checkPublicUrl(settings),
    checkCookies(settings),
    checkProxies(settings),
    checkMail(settings, hasUsers),
  ];
}

function checkDevMode({ env }: ProductionSettings): Check {
  const isOn = /^(1|true)$/i.test(env["PYLON_DEV_MODE"] ?? "");
  return isOn
    ? error(
        "dev mode",
        "PYLON_DEV_MODE is on: it opens CORS, closed entities and mails to everyone. Take it out.",
      )
    : pass("dev mode", "off");
}

function checkCors({ env }: ProductionSettings): Check {
  const value = env["PYLON_CORS_ORIGIN"] ?? "";
  if (value === "")
    return error(
      "CORS",
      "PYLON_CORS_ORIGIN is not set, so pages of other origins can't call: name yours, such " +
        "as https://app.example.com.",
    );
  const origins = value.split(",").map((origin) => origin.trim());
  if (origins.some((origin) => origin.includes("*")))
    return error(
      "CORS",
      "PYLON_CORS_ORIGIN has a *, which lets every page call: name the origins of yours.",
    );
  const plain = origins.find((origin) => !origin.startsWith("https://"));
  return plain === undefined
    ? pass("CORS", value)
    : error(
        "CORS",
        `PYLON_CORS_ORIGIN names ${plain}, which is not https: anyone on the way can change ` +
          "such a page.",
      );
}

function checkPublicUrl({ env }: ProductionSettings): Check {
  const value = env["PYLON_PUBLIC_URL"] ?? "";
  if (value === "")
    return error(
      "public URL",
      "PYLON_PUBLIC_URL is not set, so links in mails and OAuth callbacks follow what a " +
        "request says: set it to https://your.name.",
    );
  return value.startsWith("https://")
    ? pass("public URL", value)
    : error(
        "public URL",
        `PYLON_PUBLIC_URL is ${value}: it wants https://, or passwords and sessions go over ` +
          "the wire as they are.",
      );
}

function checkCookies({ env }: ProductionSettings): Check {
  const isOpen = /^(0|false)$/i.test(env["PYLON_COOKIE_SECURE"] ?? "");
  return isOpen
    ? error(
        "cookies",
        "PYLON_COOKIE_SECURE is 0, so the session cookie goes over plain http too: take it out.",
      )
    : pass("cookies", "sent over https only");
}

function checkProxies({ env }: ProductionSettings): Check {
  const hops = Number(env["PYLON_TRUST_PROXY_HOPS"] ?? "0");
  if (hops > MANY_HOPS)
    return warning(
      "proxies",
      `PYLON_TRUST_PROXY_HOPS is ${hops}: with fewer proxies than that, callers choose the ` +
        "address that limits count. An AWS load balancer is 1, CloudFront before it 2.",
    );
  if (hops === 0)
    return warning(
      "proxies",
      "PYLON_TRUST_PROXY_HOPS is 0: behind a load balancer or a web server all callers " +
        "share its address and its rate limit. Set it to how many stand in front.",
    );
  return pass("proxies", `${hops} in front`);
}

/** @param hasUsers null when the app does not load, and nobody knows */
function checkMail(settings: ProductionSettings, hasUsers: boolean | null): Check {
  if (hasUsers === null) return notChecked("mail");
  if (!hasUsers) return pass("mail", "the app has no users to write to");
  const isReady = isSet(settings, "PYLON_EMAIL_PROVIDER") || isSet(settings, "PYLON_SMTP_URL");
  return isReady
    ? pass("mail", "a provider is set")
    : warning(
        "mail",
        "No mail provider is set, so nobody can reset a password or sign in by a code: set " +
          "PYLON_EMAIL_PROVIDER and PYLON_EMAIL_FROM, or PYLON_SMTP_URL.",
      );
}
