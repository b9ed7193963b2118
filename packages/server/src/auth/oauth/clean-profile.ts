import { parseEmail } from "../../schema/email-address.ts";
import type { OAuthProfile } from "./profile.ts";

const MAX_NAME = 200;
const MAX_URL = 2048;

/**
 * Returns the profile without invalid names, addresses and pictures: the app displays them, and the
 * provider lets people set them.
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

/** If the URL of a picture were a script's, it would run in the app's page. */
function isPicture(url: string): boolean {
  return url.length <= MAX_URL && URL.canParse(url) && new URL(url).protocol === "https:";
}
