import { PylonError } from "@pylonsync/protocol";
import type { FileField } from "../schema/schema.ts";

/**
 * @throws PylonError INVALID_DATA, PAYLOAD_TOO_LARGE naming the field if a file of this type and
 *   size may not be stored in it
 */
export function checkFileRules(
  entity: string,
  field: FileField,
  file: { readonly contentType: string; readonly size: number },
): void {
  const { accept, maxBytes } = field.file;
  const label = `${entity}.${field.name}`;
  if (accept.length > 0 && !accept.some((entry) => isOfType(entry, file.contentType))) {
    throw new PylonError(
      "INVALID_DATA",
      `${label} does not accept files of type ${file.contentType}.`,
      {
        field: field.name,
        hint: `Use one of ${accept.join(", ")}.`,
      },
    );
  }
  if (file.size > maxBytes) {
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `${label} accepts files of at most ${maxBytes} bytes.`,
      { field: field.name },
    );
  }
}

function isOfType(entry: string, contentType: string): boolean {
  const [essence = ""] = contentType.split(";");
  return entry.endsWith("/*") ? essence.startsWith(entry.slice(0, -1)) : essence === entry;
}
