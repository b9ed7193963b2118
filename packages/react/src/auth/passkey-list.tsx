import { useCallback, useEffect, useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import type { AuthCallOptions } from "./calls.ts";
import { useLoaded } from "./loaded.ts";
import { addPasskey, deletePasskey, hasPasskeys, listPasskeys } from "./passkey-calls.ts";
import { keepsCookies } from "./provider-calls.ts";

/** The user's passkeys, and a button to make one. */
export function PasskeyList({ sync: given }: AuthCallOptions): ReactElement {
  const sync = useEngine(given);
  const [canAdd, setCanAdd] = useState(false);
  useEffect(() => setCanAdd(hasPasskeys() && keepsCookies(sync)), [sync]);
  const { data, problem, after } = useLoaded(useCallback(() => listPasskeys({ sync }), [sync]));
  return (
    <>
      <ul className="pylon-list">
        {data?.map(({ id, name }) => (
          <li key={id}>
            <span>{name}</span>
            <button
              type="button"
              className="pylon-button pylon-plain"
              aria-label={`Delete the passkey ${name}`}
              onClick={() => after(() => deletePasskey(id, { sync }))}
            >
              Delete
            </button>
          </li>
        ))}
      </ul>
      {canAdd && (
        <button
          type="button"
          className="pylon-button pylon-plain"
          onClick={() => after(() => addPasskey(navigator.platform || "Passkey", { sync }))}
        >
          Add a passkey
        </button>
      )}
      <p className="pylon-error" role="alert">
        {problem}
      </p>
    </>
  );
}
