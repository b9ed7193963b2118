/** The minimum and maximum size of a key, in bytes. */
const MIN_KEY_BYTES = 24;
const MAX_KEY_BYTES = 64;
const PREFIX = "whsec_";

/** Returns the key in a secret, or null for an invalid secret. */
export function keyOf(secret: string): Buffer | null {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : "";
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return null;
  const key = Buffer.from(text, "base64");
  return key.length >= MIN_KEY_BYTES && key.length <= MAX_KEY_BYTES ? key : null;
}

/** A message as it is sent in one attempt. */
export interface SignedMessage {
  readonly id: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly body: string;
}

/** Returns the headers that authenticate a message: one signature by each key. */
export async function signedHeaders(
  { id, timestamp, body }: SignedMessage,
  keys: readonly Buffer[],
): Promise<Record<string, string>> {
  // Loaded only by apps that use it, so that the others start faster.
  const { createHmac } = await import("node:crypto");
  const content = `${id}.${timestamp}.${body}`;
  const signatures = keys.map(
    (key) => `v1,${createHmac("sha256", key).update(content).digest("base64")}`,
  );
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatures.join(" "),
  };
}
