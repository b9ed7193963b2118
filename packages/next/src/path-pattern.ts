/**
 * Compiles a path or a pattern of paths: `/about`, `/blog/:slug`, `/docs/:path*` (including
 * `/docs`),
 * `/files/:path+`.
 *
 * @throws Error for an invalid pattern
 */
export function pathPattern(pattern: string): (path: string) => boolean {
  if (!pattern.startsWith("/"))
    throw new Error(`"${pattern}" is not a path: it must begin with /.`);
  const parts = pattern.split("/").filter((part) => part !== "");
  const source = parts.map((part) => {
    if (/^:\w+\*$/.test(part)) return "(?:/.*)?";
    if (/^:\w+\+$/.test(part)) return "/.+";
    if (/^:\w+$/.test(part)) return "/[^/]+";
    if (/[:*()]/.test(part))
      throw new Error(`"${part}" of "${pattern}" is not supported: use :name, :name* or :name+.`);
    return `/${part.replaceAll(/[.+?^${}|[\]\\]/g, "\\$&")}`;
  });
  const test = new RegExp(`^${source.join("")}/?$`);
  return (path) => test.test(path);
}
