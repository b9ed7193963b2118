import { useState, type ReactElement } from "react";
import { confirmSignUp, signUpWithPassword } from "./calls.ts";
import { CodeField, EmailField, Field, Form, Note, PasswordField } from "./form.tsx";
import { ProviderButtons, type ProviderButtonsProps } from "./provider-buttons.tsx";
import { SecondFactorForm } from "./second-factor-form.tsx";
import { useSignInFlow, type SignInProps } from "./sign-in-flow.ts";

/** Props of `SignUp`. */
export interface SignUpProps extends SignInProps, Pick<ProviderButtonsProps, "providers"> {
  /** The page with `SignIn`, for who has an account. */
  readonly signInUrl?: string;
  /** Whether a name is asked for. Default true. */
  readonly asksName?: boolean;
}

/**
 * The sign-up form, which asks for the mailed code where the server sends mail. Its classes are
 * those of `SignIn`.
 *
 * @example
 * <SignUp redirectTo="/notes" signInUrl="/sign-in" />;
 */
export function SignUp({
  providers,
  signInUrl,
  asksName = true,
  ...props
}: SignUpProps): ReactElement {
  const flow = useSignInFlow(props);
  const { sync, run } = flow;
  const [email, setEmail] = useState<string | null>(null);

  if (flow.mfaToken !== null) return <SecondFactorForm flow={flow} />;
  if (email !== null) {
    return (
      <Form
        key="confirm"
        action="Confirm"
        onSend={({ code = "" }) => run(() => confirmSignUp(email, code, { sync }))}
      >
        <Note>We sent a code to {email}.</Note>
        <CodeField />
      </Form>
    );
  }
  const register = async ({
    email: address = "",
    password = "",
    displayName = "",
  }: Readonly<Record<string, string>>): Promise<void> => {
    const result = await signUpWithPassword(address, password, {
      sync,
      ...(displayName === "" ? {} : { displayName }),
    });
    if (result.verificationRequired) setEmail(address);
    else await run(() => Promise.resolve());
  };
  return (
    <div className="pylon-auth">
      <ProviderButtons
        sync={sync}
        {...(providers === undefined ? {} : { providers })}
        {...(props.redirectTo === undefined ? {} : { redirectTo: props.redirectTo })}
      />
      <Form action="Create the account" onSend={register}>
        {asksName && <Field label="Name" name="displayName" autoComplete="name" isOptional />}
        <EmailField />
        <PasswordField isNew />
      </Form>
      {signInUrl !== undefined && (
        <nav className="pylon-links">
          <a className="pylon-link" href={signInUrl}>
            I have an account
          </a>
        </nav>
      )}
    </div>
  );
}
