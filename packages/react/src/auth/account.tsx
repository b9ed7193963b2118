import { useCallback, useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { useSession } from "../session.ts";
import { getAccountProofs, type AccountProofs } from "./account-calls.ts";
import { AuthenticatorSettings } from "./authenticator-settings.tsx";
import { DeleteAccount } from "./delete-account.tsx";
import { DeviceList } from "./device-list.tsx";
import { LinkedAccountList } from "./linked-account-list.tsx";
import { useLoaded } from "./loaded.ts";
import { Loading } from "./loading.tsx";
import { PasskeyList } from "./passkey-list.tsx";
import { PasswordSettings } from "./password-settings.tsx";
import { Section } from "./section.tsx";
import type { SignInProps } from "./sign-in-flow.ts";
import { SignOutButton } from "./sign-out-button.tsx";
import { emailOfUser, nameOfUser, useUser } from "./user.ts";

/**
 * The user's account page: connected accounts, password, passkeys, authenticator app, devices,
 * sign-out and deletion. It only shows the parts that apply to the user's sign-in methods, and
 * renders nothing for guests and signed-out visitors.
 *
 * @param props `redirectTo` and `onDone` apply after a sign-out or a deletion
 * @example
 * <Account redirectTo="/" />;
 */
export function Account(props: SignInProps): ReactElement | null {
  const sync = useEngine(props.sync);
  const { userId, isGuest } = useSession(sync);
  const { user } = useUser(sync);
  // The number of password changes on this page.
  const [changes, setChanges] = useState(0);
  const isUser = userId !== null && !isGuest;
  const {
    data: proofs,
    problem,
    after,
  } = useLoaded(
    useCallback(
      () => (isUser ? getAccountProofs({ sync }) : Promise.resolve(null)),
      [sync, isUser],
    ),
  );
  const refresh = (): void => after(() => Promise.resolve());
  if (!isUser) return null;

  const email = emailOfUser(user);
  const name = nameOfUser(user);
  const onPassword = (): void => {
    setChanges((count) => count + 1);
    refresh();
  };
  return (
    <div className="pylon-account">
      <header>
        <p className="pylon-who">{name}</p>
        {email !== "" && email !== name && <p className="pylon-sub">{email}</p>}
      </header>
      <p className="pylon-error" role="alert">
        {problem}
      </p>
      {proofs === null ? (
        problem === null && <Loading title="Sign-in methods" />
      ) : (
        <WaysToSignIn
          {...props}
          sync={sync}
          proofs={proofs}
          email={email}
          refresh={refresh}
          changes={changes}
          onPassword={onPassword}
        />
      )}
      <Section title="Devices">
        <DeviceList key={changes} sync={sync} />
      </Section>
      <Section title="Leave">
        <SignOutButton {...props} sync={sync} />
        {proofs !== null && (
          <DeleteAccount {...props} sync={sync} email={email} proofs={proofs} refresh={refresh} />
        )}
      </Section>
    </div>
  );
}

interface WaysProps extends SignInProps {
  readonly proofs: AccountProofs;
  readonly email: string;
  readonly refresh: () => void;
  readonly changes: number;
  readonly onPassword: () => void;
}

function WaysToSignIn({
  sync,
  proofs,
  email,
  refresh,
  changes,
  onPassword,
}: WaysProps): ReactElement {
  const engine = useEngine(sync);
  const given = { sync: engine, proofs, refresh };
  // A passkey already counts as two factors: without another sign-in method, no second factor
  // applies.
  const usesCodes =
    proofs.hasPassword ||
    proofs.hasEmailCode ||
    proofs.hasAuthenticator ||
    proofs.providers.length > 0;
  return (
    <>
      <LinkedAccountList {...given} />
      <Section title="Password">
        <PasswordSettings
          sync={engine}
          email={email}
          proofs={proofs}
          changes={changes}
          onChange={onPassword}
        />
      </Section>
      <Section title="Passkeys">
        <PasskeyList sync={engine} onChange={refresh} />
      </Section>
      {usesCodes && (
        <Section title="Authenticator app">
          <AuthenticatorSettings sync={engine} isOn={proofs.hasAuthenticator} refresh={refresh} />
        </Section>
      )}
    </>
  );
}
