/**
 * The SHA-256 of a text, in hex. It takes Bun's own hash: `node:crypto` brings all of Node's
 * streams with it, which cost a start 5 ms and 2 MiB.
 */
export function sha256(text: string): string {
  return Bun.SHA256.hash(text, "hex");
}
