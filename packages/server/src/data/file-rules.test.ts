import { PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Schema } from "../schema/schema.ts";
import { checkFileRules } from "./file-rules.ts";

function fileField(accept: readonly string[], maxBytes: number) {
  const manifest = buildManifest({
    name: "files",
    version: "1.0.0",
    entities: [entity("Post", { image: field.file({ accept, maxBytes }) })],
  });
  const [found] = Schema.fromManifest(manifest).entity("Post").fileFields;
  if (found === undefined) throw new Error("The field holds no file.");
  return found;
}

const types = fc.constantFrom<string>(
  "image/png",
  "image/svg+xml",
  "text/plain",
  "application/pdf",
);
const entries = fc.constantFrom<string>("image/png", "image/*", "text/plain", "application/*");

test("a field accepts files of its types and size, whatever parameters the type has", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(entries),
      fc.integer({ min: 1, max: 100 }),
      types,
      fc.constantFrom("", ";charset=utf-8", "; q=1"),
      fc.integer({ min: 0, max: 200 }),
      (accept, maxBytes, type, parameters, size) => {
        const found = fileField(accept, maxBytes);
        const isWanted =
          accept.length === 0 ||
          accept.includes(type) ||
          accept.includes(`${type.split("/")[0]}/*`);
        const check = (): void =>
          checkFileRules("Post", found, { contentType: type + parameters, size });
        let refusal: unknown = null;
        try {
          check();
        } catch (error) {
          refusal = error;
        }
        if (isWanted && size <= maxBytes) expect(refusal).toBeNull();
        else
          expect(refusal).toMatchObject({
            code: isWanted ? "PAYLOAD_TOO_LARGE" : "INVALID_DATA",
            field: "image",
          });
        if (refusal !== null) expect(refusal).toBeInstanceOf(PylonError);
      },
    ),
  );
});
