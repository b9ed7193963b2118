import type { UploadState } from "@pylonsync/react";
import { useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { Attach, Attachment } from "./attachment.tsx";

const MAX_LENGTH = 4000;

export interface ComposerProps {
  readonly label: string;
  /** @param file the attached file */
  readonly onSend: (text: string, file: AttachedFile | null) => Promise<unknown>;
  readonly onType?: () => void;
  /** The upload of attachments; undefined if files cannot be attached. */
  readonly upload?: UploadState;
}

/** A stored file that will be sent with a message. */
export interface AttachedFile {
  readonly id: string;
  readonly name: string;
}

/** Enter sends, Shift+Enter inserts a line break, and the focus stays. */
export function Composer({ label, onSend, onType, upload }: ComposerProps) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const attached = attachedFile(upload);
  const isUploading = upload?.status === "sending";
  const isReady = !isUploading && (text.trim() !== "" || attached !== null);
  const send = async (): Promise<void> => {
    const sent = text.trim();
    field.current?.focus();
    if (!isReady) return;
    setText("");
    // The message now refers to the file.
    upload?.cancel();
    try {
      await onSend(sent, attached);
    } catch {
      // The error is shown elsewhere; the text is restored.
      setText((newer) => (newer === "" ? sent : newer));
    }
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void send();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    // In an input method, Enter accepts the word that is being composed.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };
  return (
    <form className="composer" onSubmit={submit}>
      {upload !== undefined && <Attachment upload={upload} />}
      {upload !== undefined && <Attach onChoose={(file) => void upload.upload(file)} />}
      <textarea
        ref={field}
        aria-label={label}
        placeholder={label}
        rows={1}
        maxLength={MAX_LENGTH}
        autoFocus
        value={text}
        onChange={({ target }) => {
          setText(target.value);
          onType?.();
        }}
        onKeyDown={onKeyDown}
        onPaste={({ clipboardData }) => {
          const [file] = clipboardData.files;
          if (file !== undefined) void upload?.upload(file);
        }}
      />
      <button className="primary" disabled={!isReady}>
        Send
      </button>
    </form>
  );
}

function attachedFile(upload: UploadState | undefined): AttachedFile | null {
  const { uploaded = null, file = null } = upload ?? {};
  return uploaded === null || file === null ? null : { id: uploaded.id, name: file.name };
}
