import { db } from "@pylonsync/react";
import { useEffect, useState } from "react";

const IMAGE = /\.(png|jpe?g|gif|webp|avif)$/i;

export interface MessageFileProps {
  readonly id: string;
  readonly name: string;
}

/** The file of a message: an image is shown, other files can be saved. */
export function MessageFile({ id, name }: MessageFileProps) {
  const isImage = IMAGE.test(name);
  const picture = useContent(isImage ? id : null);
  const [problem, setProblem] = useState<string | null>(null);
  const save = (): void => {
    setProblem(null);
    readFile(id).then(
      (content) => saveAs(content, name),
      () => setProblem("The file could not be loaded. Try again."),
    );
  };
  return (
    <div className="file">
      {isImage && (
        <div className="picture">{picture !== null && <img src={picture} alt={name} />}</div>
      )}
      <button type="button" className="quiet" onClick={save} aria-label={`Save ${name}`}>
        ↓ {name}
      </button>
      {problem !== null && (
        <span className="error" role="alert">
          {problem}
        </span>
      )}
    </div>
  );
}

/** The content of a file as an object URL, while it is shown; null until it is loaded. */
function useContent(id: string | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (id === null) return undefined;
    const controller = new AbortController();
    let made: string | null = null;
    readFile(id, controller.signal).then(
      (content) => {
        if (controller.signal.aborted) return;
        made = URL.createObjectURL(content);
        setUrl(made);
      },
      // The name is still shown, with which the file can be requested again.
      () => undefined,
    );
    return () => {
      controller.abort();
      if (made !== null) URL.revokeObjectURL(made);
    };
  }, [id]);
  return url;
}

/** An `<img>` cannot send a token, so the file is fetched. */
async function readFile(id: string, signal?: AbortSignal): Promise<Blob> {
  const { baseUrl, session } = db.sync;
  const response = await fetch(`${baseUrl}/api/files/${id}`, {
    headers: { Authorization: `Bearer ${session.token ?? ""}` },
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.ok) throw new Error(`The file was answered with ${response.status}.`);
  return response.blob();
}

function saveAs(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // By then the browser has read the content.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
