import { useCallback, useState, type ReactElement, type ReactNode } from "react";
import { useEngine } from "../provider.tsx";
import { useSession } from "../session.ts";
import { changePassword, getAccountProofs } from "./account-calls.ts";
import { AuthenticatorSettings } from "./authenticator-settings.tsx";
import { DeleteAccount } from "./delete-account.tsx";
import { DeviceList } from "./device-list.tsx";
import { Form, HiddenUsername, Note, PasswordField } from "./form.tsx";
import { useLoaded } from "./loaded.ts";
import { PasskeyList } from "./passkey-list.tsx";
import type { SignInProps } from "./sign-in-flow.ts";
import { SignOutButton } from "./sign-out-button.tsx";
import { emailOfUser, nameOfUser, useUser } from "./user.ts";

/**
 * The account page of a user: devices, password, passkeys, the authenticator app, sign-out and
 * deletion. Renders nothing for guests and signed-out visitors.
 *
 * @param props `redirectTo` and `onDone` apply after a sign-out or a deletion
 * @example
 * <Account redirectTo="/" />;
 */
export function Account(props: SignInProps): ReactElement | null {
  const sync = useEngine(props.sync);
  const { userId, isGuest } = useSession(sync);
  const { user } = useUser(sync);
  // How often the password was changed here.
  const [changes, setChanges] = useState(0);
  const isUser = userId !== null && !isGuest;
  const { data: proofs, after } = useLoaded(
    useCallback(
      () => (isUser ? getAccountProofs({ sync }) : Promise.resolve(null)),
      [sync, isUser],
    ),
  );
  const refresh = (): void => after(() => Promise.resolve());
  if (!isUser) return null;

  const change = async ({
    current = "",
    next = "",
  }: Readonly<Record<string, string>>): Promise<void> => {
    await changePassword(current === "" ? null : current, next, { sync });
    setChanges((count) => count + 1);
    refresh();
  };
  return (
    <div className="pylon-account">
      <p className="pylon-who">{nameOfUser(user)}</p>
      <Section title="Devices">
        <DeviceList key={changes} sync={sync} />
      </Section>
      <Section title="Password">
        <Form key={changes} action="Change the password" onSend={change}>
          {changes > 0 && <Note>Your password is changed; other devices are signed out.</Note>}
          <PasswordFields email={emailOfUser(user)} hasPassword={proofs?.hasPassword !== false} />
        </Form>
      </Section>
      <Section title="Passkeys">
        <PasskeyList sync={sync} />
      </Section>
      <Section title="Authenticator app">
        {proofs !== null && (
          <AuthenticatorSettings sync={sync} isOn={proofs.hasAuthenticator} refresh={refresh} />
        )}
      </Section>
      <Section title="Leave">
        <SignOutButton {...props} sync={sync} />
        {proofs !== null && (
          <DeleteAccount
            {...props}
            sync={sync}
            email={emailOfUser(user)}
            proofs={proofs}
            refresh={refresh}
          />
        )}
      </Section>
    </div>
  );
}

function PasswordFields({
  email,
  hasPassword,
}: {
  readonly email: string;
  readonly hasPassword: boolean;
}): ReactElement {
  return (
    <>
      <HiddenUsername email={email} />
      {hasPassword && <PasswordField label="Current password" name="current" isOptional />}
      <PasswordField label="New password" name="next" isNew />
    </>
  );
}

function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <section className="pylon-section" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
