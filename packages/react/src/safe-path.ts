/**
 * Returns a path of the page's own origin to redirect to after a sign-in. Any other target is
 * replaced with `fallback`: otherwise a link could make the sign-in page redirect to another site.
 *
 * @param target a value such as the query parameter `next`
 * @example
 * location.assign(safePath(new URLSearchParams(location.search).get("next"), "/notes"));
 */
export function safePath(target: unknown, fallback = "/"): string {
  // Browsers treat \ as /, and drop tabs and line breaks.
  // eslint-disable-next-line no-control-regex
  if (typeof target !== "string" || !target.startsWith("/") || /[\\\u0000-\u001f]/.test(target))
    return fallback;
  if (!URL.canParse(target, BASE_URL)) return fallback;
  const { origin, pathname, search, hash } = new URL(target, BASE_URL);
  // The normalized form of `/..//other.example` is the address of another site.
  if (origin !== BASE_URL || pathname.startsWith("//")) return fallback;
  return pathname + search + hash;
}

const BASE_URL = "http://somewhere.invalid";
