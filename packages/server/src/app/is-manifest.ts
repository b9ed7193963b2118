/** Whether a value claims to be a manifest; it is validated later. */
export function isManifest(value: unknown): boolean {
  return typeof value === "object" && value !== null && "manifest_version" in value;
}
