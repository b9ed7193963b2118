import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

/** A user who has chosen a name. */
const Person = entity("Person", {
  userId: field.string().owner().unique(),
  name: field.string().min(1).max(40),
});

/** A note, whose title and text several people edit at once. */
const Note = entity(
  "Note",
  {
    title: field.string().max(200).crdt("text").default(""),
    body: field.richtext().default(""),
    authorId: field.string().owner(),
    /** The server's time: a note that is not sent yet has no time. */
    createdAt: field.datetime().optional().default("now").readonly(),
  },
  { indexes: [{ name: "newest", fields: ["createdAt"], unique: false }] },
);

const isSignedIn = "auth.userId != null";

export default buildManifest({
  name: "notes",
  version: "0.1.0",
  entities: [Person, Note],
  policies: [
    // Names can't be changed, so that nobody takes the name of another.
    policy({
      name: "people",
      entity: "Person",
      allowRead: isSignedIn,
      allowInsert: isSignedIn,
      allowUpdate: "false",
      allowDelete: "false",
    }),
    policy({
      name: "notes",
      entity: "Note",
      allowRead: isSignedIn,
      allowInsert: isSignedIn,
      allowUpdate: isSignedIn,
      allowDelete: "auth.userId == data.authorId",
    }),
  ],
  rooms: [{ name: "note/:noteId", allow: isSignedIn }],
});
