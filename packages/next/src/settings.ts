/** Where the Pylon server is, and which cookie is its session. */
export interface PylonSettings {
  /**
   * The Pylon server as this server reaches it, such as `http://pylon:4321`. Default: PYLON_URL,
   * and in development `http://localhost:4321`.
   */
  readonly url?: string;
  /**
   * The session's cookie: the app's name and `_session`, or what the Pylon server has as
   * PYLON_COOKIE_NAME. Default: PYLON_COOKIE_NAME.
   */
  readonly cookieName?: string;
}

/** @throws Error that says what to set */
export function urlOf({
  url = process.env["PYLON_URL"] ?? process.env["PYLON_TARGET"],
}: PylonSettings): string {
  const known = url || (process.env["NODE_ENV"] === "production" ? "" : "http://localhost:4321");
  if (known === "")
    throw new Error(
      "PYLON_URL is not set: give it the address of the Pylon server, such as http://pylon:4321.",
    );
  if (!URL.canParse(known) || !/^https?:$/.test(new URL(known).protocol))
    throw new Error("PYLON_URL is not an http address: write it as http://pylon:4321.");
  return known.replace(/\/+$/, "");
}

/** @throws Error that says what to set */
export function cookieNameOf({
  cookieName = process.env["PYLON_COOKIE_NAME"],
}: PylonSettings): string {
  if (cookieName) return cookieName;
  throw new Error(
    "PYLON_COOKIE_NAME is not set: it is the name of your app and _session, such as notes_session.",
  );
}
