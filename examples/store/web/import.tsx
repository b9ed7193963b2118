import { db } from "@pylonsync/react";
import { useState } from "react";

const EXAMPLE = "Teapot, 24.90, 12\nCup, 6.50, 80\nTray, 18.00, 5";

export function Import() {
  const [text, setText] = useState(EXAMPLE);
  const [jobId, setJobId] = useState<string | null>(null);
  const { mutate, error } = db.useMutation("importProducts");
  const start = async (): Promise<void> => {
    try {
      setJobId(await mutate({ text }));
    } catch {
      // The error is shown from `error`.
    }
  };
  return (
    <section aria-labelledby="import">
      <h2 id="import">Import products</h2>
      <textarea
        aria-label="Lines: name, price, stock"
        rows={4}
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
      <button className="primary" onClick={() => void start()}>
        Import
      </button>
      {error !== null && <p role="alert">{error.message}</p>}
      <ImportProgress jobId={jobId} />
    </section>
  );
}

/** The progress of the job, with one hook. */
function ImportProgress({ jobId }: { readonly jobId: string | null }) {
  const { data } = db.useJob(jobId);
  if (data === null) return null;
  const { status, progress } = data;
  if (status === "dead") return <p role="alert">The import failed.</p>;
  const isDone = status === "completed";
  return (
    <p role="status">
      <progress value={isDone ? 1 : (progress?.fraction ?? 0)} />{" "}
      {isDone ? `Imported ${progress?.note ?? ""}` : (progress?.note ?? "Waiting")}
    </p>
  );
}
