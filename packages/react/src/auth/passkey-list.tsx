import { useCallback, useEffect, useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import type { AuthCallOptions } from "./calls.ts";
import { useLoaded } from "./loaded.ts";
import { addPasskey, deletePasskey, hasPasskeys, listPasskeys } from "./passkey-calls.ts";
import { Placeholder } from "./loading.tsx";
import { PasskeyLogo } from "./passkey-logo.tsx";
import { keepsCookies } from "./provider-calls.ts";

/** Lists the user's passkeys, with a button to add one. */
export function PasskeyList({
  sync: given,
  onChange,
}: AuthCallOptions & {
  /** Called when a passkey is added or deleted. */
  readonly onChange: () => void;
}): ReactElement {
  const sync = useEngine(given);
  const [canAdd, setCanAdd] = useState(false);
  useEffect(() => setCanAdd(hasPasskeys() && keepsCookies(sync)), [sync]);
  const { data, problem, after } = useLoaded(useCallback(() => listPasskeys({ sync }), [sync]));
  const change = (act: () => Promise<unknown>): void =>
    after(async () => {
      await act();
      onChange();
    });
  if (data === null && problem === null) return <Placeholder />;
  return (
    <>
      {data?.length === 0 && !canAdd && (
        <p className="pylon-note">This browser does not support passkeys.</p>
      )}
      <ul className="pylon-list">
        {data?.map(({ id, name }) => (
          <li key={id}>
            <span className="pylon-named">
              <PasskeyLogo />
              {name}
            </span>
            <button
              type="button"
              className="pylon-button pylon-plain"
              aria-label={`Delete the passkey ${name}`}
              onClick={() => change(() => deletePasskey(id, { sync }))}
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
          onClick={() => change(() => addPasskey(navigator.platform || "Passkey", { sync }))}
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
