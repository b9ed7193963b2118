import { query, v } from "@pylonsync/functions";

/** For callers who have a note with this text. */
export default query({
  auth: "exists(Note, ownerId == auth.userId && text == input.text)",
  args: { text: v.string() },
  handler: () => process.pid,
});
