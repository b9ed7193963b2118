const MAX_LENGTH = 255;
// eslint-disable-next-line no-control-regex -- control characters are what it is for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Returns a name that is safe to show and to save under: the last segment of a path, without
 * control characters. The server never uses it as a path.
 */
export function cleanFileName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? "";
  const clean = last.replace(CONTROL, "").trim().slice(0, MAX_LENGTH).toWellFormed();
  return clean === "" || /^\.+$/.test(clean) ? "file" : clean;
}

/** Decodes a name from a header, which contains only ASCII, so the name may be percent-encoded. */
export function decodeFileName(header: string): string {
  try {
    return decodeURIComponent(header);
  } catch {
    return header;
  }
}

/**
 * The value of Content-Disposition according to RFC 6266: a name in ASCII, and the full name if it
 * differs.
 */
export function contentDisposition(kind: "inline" | "attachment", name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]/g, "_").replace(/["\\%]/g, "_");
  if (ascii === name) return `${kind}; filename="${name}"`;
  const encoded = encodeURIComponent(name).replace(
    /['()*!]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${kind}; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
