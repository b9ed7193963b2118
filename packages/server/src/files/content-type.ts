const DEFAULT = "application/octet-stream";
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]{1,100}\/[a-z0-9!#$&^_.+-]{1,100}$/;

/**
 * The media type as it is stored: lower case, with no parameter except a charset. An invalid media
 * type becomes `application/octet-stream`.
 */
export function normaliseContentType(header: string | null): string {
  const [essence = "", ...parameters] = (header ?? "")
    .toLowerCase()
    .split(";")
    .map((part) => part.trim());
  if (!MEDIA_TYPE.test(essence)) return DEFAULT;
  const charset = parameters.find((parameter) => /^charset="?[a-z0-9_-]{1,40}"?$/.test(parameter));
  return charset === undefined ? essence : `${essence}; ${charset.replaceAll('"', "")}`;
}

/**
 * How a file is served to a browser: inline only if its type can't contain a script, which rules
 * out HTML, XML and SVG. Everything else is served as bytes to download.
 */
export function servedAs(
  contentType: string,
  download: boolean,
): { readonly contentType: string; readonly disposition: "inline" | "attachment" } {
  const [essence = ""] = contentType.split(";");
  if (!isSafe(essence)) return { contentType: DEFAULT, disposition: "attachment" };
  return { contentType, disposition: download ? "attachment" : "inline" };
}

function isSafe(essence: string): boolean {
  if (essence === "application/pdf" || essence === "text/plain") return true;
  return /^(image|audio|video)\//.test(essence) && !/svg|xml|html/.test(essence);
}
