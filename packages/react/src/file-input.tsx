import { useEffect, useId, useRef, useState, type DragEvent, type ReactElement } from "react";
import { SINGLE_BYTES } from "./resumable-upload.ts";
import type { UploadedFile } from "./uploads.ts";
import { useUpload, type UploadState, type UseUploadOptions } from "./use-upload.ts";

/** Props of `FileInput`. */
export interface FileInputProps extends UseUploadOptions {
  readonly label: string;
  /** In a form: the name under which the id of the stored file is submitted. */
  readonly name?: string;
  /**
   * The files that the browser offers, such as `image/*`. The field's own restrictions are checked
   * by the server.
   */
  readonly accept?: string;
  /** Called with the stored file, or null after it is removed. */
  readonly onChange?: (file: UploadedFile | null) => void;
}

/**
 * A file input that uploads immediately. Files are selected by click, keyboard or drag and drop. It
 * shows a preview of images and the progress, with buttons to pause, cancel and retry. It is styled
 * by `@pylonsync/react/styles.css`.
 *
 * @example
 * <FileInput label="Photo" entity="Todo" field="photo" name="photo" accept="image/*" />;
 */
export function FileInput({
  label,
  name,
  accept,
  onChange,
  ...options
}: FileInputProps): ReactElement {
  const state = useUpload(options);
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const { file, uploaded, error, upload, retry, resume, cancel } = state;
  const tell = (stored: UploadedFile | null): void => {
    if (stored !== null) onChange?.(stored);
  };
  const remove = (): void => {
    cancel();
    onChange?.(null);
    if (input.current === null) return;
    // Allow selecting the same file again.
    input.current.value = "";
    input.current.focus();
  };
  const onDrop = (event: DragEvent): void => {
    event.preventDefault();
    const [dropped] = event.dataTransfer.files;
    if (dropped !== undefined) void upload(dropped).then(tell);
  };
  return (
    <div className="pylon-upload" onDragOver={(event) => event.preventDefault()} onDrop={onDrop}>
      <label htmlFor={id}>{label}</label>
      <input
        ref={input}
        id={id}
        type="file"
        {...(accept === undefined ? {} : { accept })}
        {...(error === null ? {} : { "aria-invalid": true, "aria-describedby": `${id}-problem` })}
        onChange={({ target }) => {
          const chosen = target.files?.[0];
          if (chosen !== undefined) void upload(chosen).then(tell);
        }}
      />
      {name !== undefined && <input type="hidden" name={name} value={uploaded?.id ?? ""} />}
      {file !== null && (
        <Chosen
          file={file}
          state={state}
          onResume={() => void resume().then(tell)}
          onRemove={remove}
        />
      )}
      <Problem id={`${id}-problem`} error={error} onRetry={() => void retry().then(tell)} />
    </div>
  );
}

function Problem({
  id,
  error,
  onRetry,
}: {
  readonly id: string;
  readonly error: string | null;
  readonly onRetry: () => void;
}): ReactElement {
  return (
    <>
      <p className="pylon-error" role="alert" id={id}>
        {error}
      </p>
      {error !== null && (
        <button type="button" className="pylon-button pylon-plain" onClick={onRetry}>
          Try again
        </button>
      )}
    </>
  );
}

/** Status texts shown beside the progress. */
const NOTES: Partial<Record<UploadState["status"], string>> = {
  waiting: "Waiting for a connection",
  paused: "Paused",
};

function Chosen({
  file,
  state: { status, progress, pause },
  onResume,
  onRemove,
}: {
  readonly file: File;
  readonly state: UploadState;
  readonly onResume: () => void;
  readonly onRemove: () => void;
}): ReactElement {
  const isUnderWay = status === "sending" || status === "waiting" || status === "paused";
  return (
    <div className="pylon-chosen">
      <Preview file={file} />
      <span className="pylon-file-name">
        {file.name}
        <small>{sizeOf(file.size)}</small>
        {isUnderWay && <progress value={progress} aria-label={`Upload of ${file.name}`} />}
        <small role="status">{NOTES[status] ?? ""}</small>
      </span>
      {status === "paused" ? (
        <button type="button" className="pylon-button pylon-plain" onClick={onResume}>
          Resume
        </button>
      ) : (
        isUnderWay &&
        file.size > SINGLE_BYTES && (
          <button type="button" className="pylon-button pylon-plain" onClick={pause}>
            Pause
          </button>
        )
      )}
      <button type="button" className="pylon-button pylon-plain" onClick={onRemove}>
        {isUnderWay ? "Cancel" : "Remove"}
      </button>
    </div>
  );
}

/** A preview, if the file is an image that the browser can show: few can show HEIC photos. */
function Preview({ file }: { readonly file: File }): ReactElement | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!file.type.startsWith("image/")) return undefined;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => {
      URL.revokeObjectURL(made);
      setUrl(null);
    };
  }, [file]);
  if (url === null) return null;
  return <img className="pylon-preview" src={url} alt="" onError={() => setUrl(null)} />;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Formats a size: `1.5 MB`. */
function sizeOf(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power] ?? ""}`;
}
