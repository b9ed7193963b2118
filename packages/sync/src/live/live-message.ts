import {
  FailedSchema,
  HelloSchema,
  JoinedSchema,
  LiveErrorSchema,
  ResultSchema,
} from "@pylonsync/protocol";
import * as v from "valibot";

const MessageSchema = v.variant("type", [
  HelloSchema,
  JoinedSchema,
  ResultSchema,
  FailedSchema,
  LiveErrorSchema,
]);

/** What a server says of live functions. */
export type FunctionMessage = v.InferOutput<typeof MessageSchema>;

/** @returns null for a message of another kind, or in another form */
export function functionMessage(text: string): FunctionMessage | null {
  try {
    const parsed = v.safeParse(MessageSchema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}
