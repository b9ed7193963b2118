import { db } from "@pylonsync/react";
import { useState, type FormEvent } from "react";
import { openChannel } from "./use-route.ts";

export function NewChannel() {
  const [name, setName] = useState("");
  const create = db.useMutation("addChannel");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    try {
      const { channelId } = await create.mutate({ name });
      setName("");
      openChannel(channelId);
    } catch {
      // The error is shown below, from `create.error`.
    }
  };
  return (
    <form className="new-channel" onSubmit={(event) => void submit(event)}>
      <input
        aria-label="New channel"
        placeholder="New channel"
        maxLength={40}
        required
        value={name}
        onChange={({ target }) => setName(target.value)}
      />
      <button className="quiet" disabled={create.loading} aria-label="Create channel">
        +
      </button>
      {create.error !== null && (
        <p className="error" role="alert">
          {create.error.message}
        </p>
      )}
    </form>
  );
}
