import { error, notChecked, pass, warning, type Check } from "./check.ts";
import { isSet, type ProductionSettings } from "./production-settings.ts";

/**
 * More proxies in a row than this are implausible; each extra one lets callers choose their
 * address.
 */
const MANY_HOPS = 3;

/** Checks how browsers reach the server, and what they may do there. */
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
        "PYLON_DEV_MODE is on: it opens CORS, entities without a policy and mails to everyone. " +
          "Remove it.",
      )
    : pass("dev mode", "off");
}

function checkCors({ env }: ProductionSettings): Check {
  const value = env["PYLON_CORS_ORIGIN"] ?? "";
  if (value === "")
    return error(
      "CORS",
      "PYLON_CORS_ORIGIN is not set, so pages of other origins can't call the API: list yours, " +
        "such as https://app.example.com.",
    );
  const origins = value.split(",").map((origin) => origin.trim());
  if (origins.some((origin) => origin.includes("*")))
    return error(
      "CORS",
      "PYLON_CORS_ORIGIN contains *, which lets every page call the API: list your own origins.",
    );
  const plain = origins.find((origin) => !origin.startsWith("https://"));
  return plain === undefined
    ? pass("CORS", value)
    : error(
        "CORS",
        `PYLON_CORS_ORIGIN names ${plain}, which is not https: such a ` +
          "page can be changed in transit.",
      );
}

function checkPublicUrl({ env }: ProductionSettings): Check {
  const value = env["PYLON_PUBLIC_URL"] ?? "";
  if (value === "")
    return error(
      "public URL",
      "PYLON_PUBLIC_URL is not set, so links in mails and OAuth callbacks use the host of the " +
        "request: set it to https://your.name.",
    );
  return value.startsWith("https://")
    ? pass("public URL", value)
    : error(
        "public URL",
        `PYLON_PUBLIC_URL is ${value}: it must begin with https://, or passwords ` +
          "and sessions are sent unencrypted.",
      );
}

function checkCookies({ env }: ProductionSettings): Check {
  const isOpen = /^(0|false)$/i.test(env["PYLON_COOKIE_SECURE"] ?? "");
  return isOpen
    ? error(
        "cookies",
        "PYLON_COOKIE_SECURE is 0, so the session cookie is also sent over http: remove it.",
      )
    : pass("cookies", "sent over https only");
}

function checkProxies({ env }: ProductionSettings): Check {
  const hops = Number(env["PYLON_TRUST_PROXY_HOPS"] ?? "0");
  if (hops > MANY_HOPS)
    return warning(
      "proxies",
      `PYLON_TRUST_PROXY_HOPS is ${hops}: with fewer proxies than that, callers can forge the ` +
        `address that rate ` +
        "limits use. Use 1 for an AWS load balancer, 2 with CloudFront in front of it.",
    );
  if (hops === 0)
    return warning(
      "proxies",
      "PYLON_TRUST_PROXY_HOPS is 0: behind a load balancer or reverse proxy, all callers share " +
        "its address and its rate limit. Set it to the number of proxies in front.",
    );
  return pass("proxies", `${hops} in front`);
}

/** @param hasUsers null if the app does not load, so that it is not known */
function checkMail(settings: ProductionSettings, hasUsers: boolean | null): Check {
  if (hasUsers === null) return notChecked("mail");
  if (!hasUsers) return pass("mail", "the app has no users");
  const isReady = isSet(settings, "PYLON_EMAIL_PROVIDER") || isSet(settings, "PYLON_SMTP_URL");
  return isReady
    ? pass("mail", "a provider is set")
    : warning(
        "mail",
        "No mail provider is set, so users can't reset a password or sign in with a code: set " +
          "PYLON_EMAIL_PROVIDER and PYLON_EMAIL_FROM, or PYLON_SMTP_URL.",
      );
}
