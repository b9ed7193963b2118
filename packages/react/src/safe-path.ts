/**
 * A place within the page's own origin, for what follows a sign-in. Whatever else a link may have
 * put there leads to `fallback`: another site's address in it would make our sign-in page send
 * people to theirs.
 *
 * @example
 * redirect(safePath(searchParams.next, "/notes"));
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
