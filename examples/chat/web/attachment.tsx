import type { UploadState } from "@pylonsync/react";
import { useId, useRef } from "react";

/** A paper clip, drawn in a square of 24 units. */
const CLIP =
  "m20 11-8.2 8.2a5 5 0 0 1-7-7L13.6 3.4a3.4 3.4 0 0 1 4.8 4.8l-8.7 8.7" +
  "a1.7 1.7 0 0 1-2.4-2.4l7.6-7.6";

export interface AttachProps {
  readonly onChoose: (file: File) => void;
}

/** Chooses a file to send with the message. */
export function Attach({ onChoose }: AttachProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <label className="attach" htmlFor={id} title="Attach a file">
        <input
          ref={input}
          id={id}
          className="for-screen-readers"
          type="file"
          aria-label="Attach a file"
          onChange={({ target }) => {
            const [file] = target.files ?? [];
            if (file !== undefined) onChoose(file);
            // Allows choosing the same file again.
            target.value = "";
          }}
        />
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d={CLIP} />
        </svg>
      </label>
    </>
  );
}

export interface AttachmentProps {
  readonly upload: UploadState;
}

/** The file that is being uploaded, or that is stored and not sent yet. */
export function Attachment({ upload }: AttachmentProps) {
  const { file, status, progress, error, cancel, retry } = upload;
  if (file === null) return null;
  return (
    <div className="attachment" data-status={status} role="group" aria-label="Attached file">
      <span className="name">{file.name}</span>
      {status === "sending" && <progress value={progress} aria-label={`Upload of ${file.name}`} />}
      {error !== null && (
        <span className="error" role="alert">
          {error}
        </span>
      )}
      {error !== null && (
        <button type="button" onClick={() => void retry()}>
          Try again
        </button>
      )}
      <button type="button" className="quiet" aria-label={`Remove ${file.name}`} onClick={cancel}>
        ✕
      </button>
    </div>
  );
}
