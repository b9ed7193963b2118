import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { useSession } from "../session.ts";
import type { SignInProps } from "./sign-in-flow.ts";
import { SignOutButton } from "./sign-out-button.tsx";
import { nameOfUser, useUser } from "./user.ts";

/** Props of `UserButton`. */
export interface UserButtonProps extends SignInProps {
  /** The page with `Account`. */
  readonly accountUrl?: string;
}

/**
 * A button with the user's initial, and a menu to the account page and to sign out; nothing for
 * signed-out visitors.
 *
 * @param props `redirectTo` and `onDone` apply after a sign-out
 * @example
 * <UserButton accountUrl="/account" redirectTo="/" />;
 */
export function UserButton({ accountUrl, ...props }: UserButtonProps): ReactElement | null {
  const sync = useEngine(props.sync);
  const { isAuthenticated, isGuest } = useSession(sync);
  const { user } = useUser(sync);
  const [isOpen, setOpen] = useState(false);
  const [side, setSide] = useState<"left" | "right">("right");
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panelId = useId();
  useEffect(() => {
    if (!isOpen) return undefined;
    const onPress = ({ target }: PointerEvent): void => {
      if (target instanceof Node && box.current?.contains(target) === false) setOpen(false);
    };
    document.addEventListener("pointerdown", onPress);
    return () => document.removeEventListener("pointerdown", onPress);
  }, [isOpen]);
  if (!isAuthenticated) return null;

  const onKey = ({ key }: KeyboardEvent): void => {
    if (key !== "Escape" || !isOpen) return;
    setOpen(false);
    button.current?.focus();
  };
  const toggle = (): void => {
    // Towards the middle of the page, where there is room.
    const { left = 0 } = button.current?.getBoundingClientRect() ?? {};
    setSide(left < document.documentElement.clientWidth / 2 ? "left" : "right");
    setOpen(!isOpen);
  };
  const name = isGuest ? "Guest" : nameOfUser(user);
  return (
    <div className="pylon-user" ref={box} onKeyDown={onKey}>
      <button
        ref={button}
        type="button"
        className="pylon-avatar"
        aria-expanded={isOpen}
        aria-controls={panelId}
        aria-label={`Account of ${name}`}
        onClick={toggle}
      >
        {name.slice(0, 1).toUpperCase()}
      </button>
      <div id={panelId} className="pylon-panel" data-side={side} hidden={!isOpen}>
        <p className="pylon-who">{name}</p>
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
