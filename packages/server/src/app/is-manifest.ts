/** Whether a value says of itself that it is a manifest; whether it is valid is seen later. */
export function isManifest(value: unknown): boolean {
  return typeof value === "object" && value !== null && "manifest_version" in value;
}
