/**
 * The SHA-256 of a text, in hex by default. It uses Bun's own hash, because `node:crypto` loads all
 * of Node's streams, which adds 5 ms and 2 MiB to a start.
 */
export function sha256(text: string, encoding: "hex" | "base64url" = "hex"): string {
  return Bun.SHA256.hash(text, encoding);
}
