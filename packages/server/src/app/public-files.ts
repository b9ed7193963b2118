import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";

/** The only hidden folder that is public: RFC 8615. */
const WELL_KNOWN = ".well-known";

/** Whether only a file can be returned for a path, whatever its name. */
export function isWellKnown(path: string): boolean {
  return path === `/${WELL_KNOWN}` || path.startsWith(`/${WELL_KNOWN}/`);
}

/**
 * Converts a path of a URL to the name of a file: without percent-encoding, and in one Unicode
 * form, because file systems use different ones. Parts that can't be decoded remain unchanged.
 */
export function decodedPath(path: string): string {
  return path.replaceAll(/(?:%[0-9a-f]{2})+/gi, decodedOrSame).normalize("NFC");
}

function decodedOrSame(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Returns the files of a folder by the path at which they are served. Hidden ones are omitted,
 * except for `.well-known`, and so are links that leave the folder.
 */
export function publicFiles(folder: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (!existsSync(folder)) return found;
  const root = realpathSync(folder);
  const visit = (dir: string, above: ReadonlySet<string>): void => {
    for (const name of readdirSync(dir)) {
      if (isHidden(name, dir === folder)) continue;
      const path = join(dir, name);
      const real = realPathInside(path, root);
      if (real === null || above.has(real)) continue;
      const stat = statSync(real);
      if (stat.isDirectory()) visit(path, new Set([...above, real]));
      else if (stat.isFile())
        found.set(`/${relative(folder, path).replaceAll(sep, "/")}`.normalize("NFC"), path);
    }
  };
  visit(folder, new Set([root]));
  return found;
}

/**
 * Whether a file is named after its content by a build tool, as Vite does in `assets/`. The hash
 * has eight characters of base64url, with an uppercase letter after the first one and a lowercase
 * letter, which words, dates and numbers in the names that people choose rarely have. People also
 * name images and fonts, and write `hero-MainPage.png`: of these, a hash that consists of words is
 * none. If it is one nevertheless, browsers only revalidate the file.
 *
 * @param path relative to `public/`
 */
export function hasContentHash(path: string): boolean {
  const [, hash = ""] = HASHED.exec(path.replaceAll(sep, "/")) ?? [];
  const isBuilt = /\.(?:js|css)(?:\.map)?$/.test(path);
  return /^.+[A-Z]/.test(hash) && /[a-z]/.test(hash) && (isBuilt || !WORDS.test(hash));
}

const WORDS = /^[A-Z]?[a-z]+(?:[A-Z][a-z]+)+$/;

/** The name, a separator, the hash, and the endings, such as `.css` or `.js.map`. */
const HASHED = /(?:^|\/)assets\/(?:[^/]*\/)*[^/]*[-.]([\w-]{8})(?:\.[a-z0-9]{1,8}){1,2}$/;

/** Resolves a path; null if it does not exist, or is outside of the folder. */
export function realPathInside(path: string, root: string): string | null {
  try {
    const real = realpathSync(path);
    return real.startsWith(root + sep) ? real : null;
  } catch {
    return null;
  }
}

function isHidden(name: string, isTop: boolean): boolean {
  return name === "node_modules" || (name.startsWith(".") && !(isTop && name === WELL_KNOWN));
}
