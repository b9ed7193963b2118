import { preloadQuery, requireSession } from "@pylonsync/next/server";
import { NoteList } from "./note-list";

export default async function Page() {
  const { user } = await requireSession({ redirectTo: "/notes" });
  return (
    <main>
      <h1>Notes of {user?.email}</h1>
      <NoteList preloaded={await preloadQuery("Note")} />
    </main>
  );
}
