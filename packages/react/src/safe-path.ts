/**
 * A path within the page's own origin, to go to after a sign-in. Any other target becomes
 * `fallback`: a link could otherwise make our sign-in page redirect to another site.
 *
 * @param target such as the query parameter `next`
 * @example
 * location.assign(safePath(new URLSearchParams(location.search).get("next"), "/notes"));
 */
export function safePath(target: unknown, fallback = "/"): string {
  // Browsers read \ as /, and drop tabs and line ends.
  // eslint-disable-next-line no-control-regex
  if (typeof target !== "string" || !target.startsWith("/") || /[\\\u0000-\u001f]/.test(target))
    return fallback;
  if (!URL.canParse(target, SOMEWHERE)) return fallback;
  const { origin, pathname, search, hash } = new URL(target, SOMEWHERE);
  // What is left of "/..//other.example" is another site's address again.
  if (origin !== SOMEWHERE || pathname.startsWith("//")) return fallback;
  return pathname + search + hash;
}

const SOMEWHERE = "http://somewhere.invalid";
