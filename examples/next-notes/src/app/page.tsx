export default function Home() {
  return (
    <main>
      <h1>Notes</h1>
      <p>
        <a href="/sign-up">Make an account</a> or <a href="/notes">read yours</a>.
      </p>
    </main>
  );
}
