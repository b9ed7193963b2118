import { callFn, getSession } from "@pylonsync/next/server";

export default async function Home() {
  const session = await getSession();
  return (
    <main>
      <h1>Notes</h1>
      {session === null ? (
        <p>
          <a href="/sign-up">Create an account</a> or <a href="/notes">read yours</a>.
        </p>
      ) : (
        <p>
          <a href="/notes">{`Read your notes: ${(await callFn("myNotes", {})).length}`}</a>
        </p>
      )}
    </main>
  );
}
