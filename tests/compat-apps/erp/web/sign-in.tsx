import { db, getBaseUrl, storageKey } from "@pylonsync/react";
import { useState, type ReactElement } from "react";

async function post(path: string, body: object, token = ""): Promise<Response> {
  return fetch(`${getBaseUrl()}${path}`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(token === "" ? {} : { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
}

/** Signs in as demos do: with a guest, whose token belongs to the user from then on. */
async function become(userId: string): Promise<void> {
  const guest = (await (await post("/api/auth/guest", {})).json()) as { token: string };
  await post("/api/auth/upgrade", { user_id: userId }, guest.token);
  localStorage.setItem(storageKey("token"), guest.token);
  await db.sync.pull();
}

export function SignIn(): ReactElement {
  const [userId, setUserId] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void become(userId);
      }}
    >
      <input aria-label="User" value={userId} onChange={(event) => setUserId(event.target.value)} />
      <button type="submit">Become</button>
    </form>
  );
}
