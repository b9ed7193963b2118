import { parseEmail } from "../../schema/email-address.ts";
import type { OAuthProfile } from "./profile.ts";

const MAX_NAME = 200;
const MAX_URL = 2048;

/**
 * The profile without values that are not a name, an address or a picture: the app shows it, and
 * the provider lets people write it.
 */
export function cleanProfile({
  id,
  email,
  emailVerified,
  name,
  avatar,
}: OAuthProfile): OAuthProfile {
  const address = isText(email) ? parseEmail(email) : null;
  return {
    id,
    email: address ?? undefined,
    emailVerified: emailVerified && address !== null,
    name: isText(name) ? name.trim().slice(0, MAX_NAME).toWellFormed() || undefined : undefined,
    avatar: isText(avatar) && isPicture(avatar) ? avatar : undefined,
  };
}

function isText(value: string | undefined): value is string {
  return value !== undefined && !value.includes("\0") && value.isWellFormed();
}

/** A script's URL in a picture's place would run in the app's page. */
function isPicture(url: string): boolean {
  return url.length <= MAX_URL && URL.canParse(url) && new URL(url).protocol === "https:";
}
