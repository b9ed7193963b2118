/** The URL of the Pylon server, and the name of its session cookie. */
export interface PylonSettings {
  /**
   * The URL at which this server reaches the Pylon server, such as `http://pylon:4321`. Default:
   * PYLON_URL, or in development `http://localhost:4321`.
   */
  readonly url?: string;
  /**
   * The name of the session cookie: the app's name followed by `_session`, or the Pylon server's
   * PYLON_COOKIE_NAME. Default: PYLON_COOKIE_NAME.
   */
  readonly cookieName?: string;
}

/** @throws Error that says which variable to set */
export function urlOf({
  url = process.env["PYLON_URL"] ?? process.env["PYLON_TARGET"],
}: PylonSettings): string {
  const known = url || (process.env["NODE_ENV"] === "production" ? "" : "http://localhost:4321");
  if (known === "")
    throw new Error(
      "PYLON_URL is not set: set it to the URL of the Pylon server, such as http://pylon:4321.",
    );
  if (!URL.canParse(known) || !/^https?:$/.test(new URL(known).protocol))
    throw new Error("PYLON_URL is not an http URL: use the form http://pylon:4321.");
  return known.replace(/\/+$/, "");
}

/** @throws Error that says which variable to set */
export function cookieNameOf({
  cookieName = process.env["PYLON_COOKIE_NAME"],
}: PylonSettings): string {
  if (cookieName) return cookieName;
  throw new Error(
    "PYLON_COOKIE_NAME is not set: set it to your app's name and _session, as in notes_session.",
  );
}
