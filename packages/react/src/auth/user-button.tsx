import type { ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { useSession } from "../session.ts";
import { usePanel } from "./panel.ts";
import type { SignInProps } from "./sign-in-flow.ts";
import { SignOutButton } from "./sign-out-button.tsx";
import { emailOfUser, nameOfUser, useUser } from "./user.ts";

/** Props of `UserButton`. */
export interface UserButtonProps extends SignInProps {
  /** The page with `Account`. */
  readonly accountUrl?: string;
}

/**
 * A button with the user's initial, and a menu with the account page and sign-out. Renders nothing
 * for signed-out visitors.
 *
 * @param props `redirectTo` and `onDone` apply after a sign-out
 * @example
 * <UserButton accountUrl="/account" redirectTo="/" />;
 */
export function UserButton({ accountUrl, ...props }: UserButtonProps): ReactElement | null {
  const sync = useEngine(props.sync);
  const { isAuthenticated, isGuest } = useSession(sync);
  const { user } = useUser(sync);
  const panel = usePanel();
  if (!isAuthenticated) return null;

  const name = isGuest ? "Guest" : nameOfUser(user);
  const email = isGuest ? "" : emailOfUser(user);
  return (
    <div className="pylon-user" ref={panel.box} onKeyDown={panel.onKeyDown}>
      <button
        ref={panel.button}
        type="button"
        className="pylon-avatar"
        aria-expanded={panel.isOpen}
        aria-controls={panel.id}
        aria-label={`Account of ${name}`}
        onClick={panel.toggle}
      >
        {name.slice(0, 1).toUpperCase()}
      </button>
      <div
        ref={panel.content}
        id={panel.id}
        className="pylon-panel"
        data-side={panel.side}
        hidden={!panel.isOpen}
      >
        <div>
          <p className="pylon-who">{name}</p>
          {email !== "" && email !== name && <p className="pylon-sub">{email}</p>}
        </div>
        {accountUrl !== undefined && !isGuest && (
          <a className="pylon-link" href={accountUrl}>
            Account
          </a>
        )}
        <SignOutButton {...props} sync={sync} />
      </div>
    </div>
  );
}
