import { useCallback, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { listDevices, signOutDevice, signOutOtherDevices } from "./account-calls.ts";
import type { AuthCallOptions } from "./calls.ts";
import { useLoaded } from "./loaded.ts";
import { Placeholder } from "./loading.tsx";

/** Lists the devices on which the user is signed in, with a button to sign each of them out. */
export function DeviceList({ sync: given }: AuthCallOptions): ReactElement {
  const sync = useEngine(given);
  const { data, problem, after } = useLoaded(useCallback(() => listDevices({ sync }), [sync]));
  const others = data?.filter(({ isCurrent }) => !isCurrent) ?? [];
  if (data === null && problem === null) return <Placeholder />;
  return (
    <>
      <ul className="pylon-list">
        {data?.map(({ id, name, isCurrent, seenAt }) => (
          <li key={id}>
            <span>
              {name}
              {isCurrent && " (this one)"}
              <small>{seenAt.toLocaleString()}</small>
            </span>
            {!isCurrent && (
              <button
                type="button"
                className="pylon-button pylon-plain"
                aria-label={`Sign out ${name}`}
                onClick={() => after(() => signOutDevice(id, { sync }))}
              >
                Sign out
              </button>
            )}
          </li>
        ))}
      </ul>
      {others.length > 1 && (
        <button
          type="button"
          className="pylon-button pylon-plain"
          onClick={() => after(() => signOutOtherDevices({ sync }))}
        >
          Sign out all other devices
        </button>
      )}
      <p className="pylon-error" role="alert">
        {problem}
      </p>
    </>
  );
}
