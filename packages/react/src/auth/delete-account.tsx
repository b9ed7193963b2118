import { PylonClientError } from "@pylonsync/sync";
import { useMemo, useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { safePath } from "../safe-path.ts";
import { deleteAccount, type AccountProofs } from "./account-calls.ts";
import { CodeForm } from "./code-form.tsx";
import { Field, Form, HiddenUsername, Note, PasswordField } from "./form.tsx";
import { useOAuthReturn } from "./oauth-return.ts";
import { PasskeyButton } from "./passkey-button.tsx";
import { ProviderButtons } from "./provider-buttons.tsx";
import { keepsCookies, toProviders } from "./provider-calls.ts";
import { SecondFactorForm } from "./second-factor-form.tsx";
import { useSignInFlow, type SignInProps } from "./sign-in-flow.ts";

/** The word that a user without a password types to confirm. */
const WORD = "delete";

interface DeleteAccountProps extends SignInProps {
  /** Where a code for a new sign-in is sent. */
  readonly email: string;
  readonly proofs: AccountProofs;
  /** Reloads the proofs. */
  readonly refresh: () => void;
}

/**
 * Deletes the account after confirmation: with the password, or with a sign-in within the last ten
 * minutes (OAuth account, passkey or email) and a typed word.
 */
export function DeleteAccount(props: DeleteAccountProps): ReactElement {
  const sync = useEngine(props.sync);
  const { proofs, refresh } = props;
  const leave = async (password: string | null): Promise<void> => {
    try {
      await deleteAccount(password, { sync });
    } catch (reason) {
      // The ten minutes may have passed by now.
      if (reason instanceof PylonClientError && reason.code === "FRESH_SIGN_IN_REQUIRED") refresh();
      throw reason;
    }
    if (props.onDone !== undefined) props.onDone();
    else if (props.redirectTo !== undefined) location.assign(safePath(props.redirectTo));
  };
  if (proofs.hasPassword)
    return (
      <Form action="Delete my account" isDanger onSend={({ password = "" }) => leave(password)}>
        <HiddenUsername email={props.email} />
        <PasswordField />
      </Form>
    );
  if (proofs.isFresh) return <ConfirmByWord onConfirm={() => leave(null)} />;
  return <SignInAgain {...props} onDone={refresh} />;
}

function ConfirmByWord({ onConfirm }: { readonly onConfirm: () => Promise<void> }): ReactElement {
  return (
    <Form action="Delete my account" isDanger onSend={onConfirm}>
      <Field
        label={`Type "${WORD}" to confirm`}
        name="word"
        autoComplete="off"
        pattern={WORD}
        title={WORD}
      />
    </Form>
  );
}

/** After the sign-in the user is on this page again, with a fresh session. */
function SignInAgain({
  sync: given,
  email: known,
  proofs,
  onDone,
}: DeleteAccountProps & { readonly onDone: () => void }): ReactElement {
  const sync = useEngine(given);
  const flow = useSignInFlow({ sync, onDone });
  const returned = useOAuthReturn(flow);
  const [email, setEmail] = useState(known);
  const [byMail, setByMail] = useState(false);
  const providers = useMemo(
    () =>
      keepsCookies(sync) ? toProviders(proofs.providers.map((provider) => ({ provider }))) : [],
    [sync, proofs],
  );
  if (flow.mfaToken !== null) return <SecondFactorForm flow={flow} />;
  return (
    <div className="pylon-form">
      <Note>Sign in again to delete your account.</Note>
      <ProviderButtons sync={sync} providers={providers} />
      {proofs.hasPasskey && <PasskeyButton flow={flow} />}
      {returned !== null && (
        <p className="pylon-error" role="alert">
          {returned}
        </p>
      )}
      {proofs.hasEmailCode && !byMail && (
        <button type="button" className="pylon-button pylon-plain" onClick={() => setByMail(true)}>
          Use an emailed code
        </button>
      )}
      {byMail && <CodeForm flow={flow} email={email} onEmail={setEmail} />}
    </div>
  );
}
