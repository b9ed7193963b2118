import { useState, type ReactElement } from "react";
import { confirmSignUp, signUpWithPassword } from "./calls.ts";
import { CodeField, EmailField, Field, Form, Note, PasswordField } from "./form.tsx";
import { Heading } from "./heading.tsx";
import { ProviderButtons, type ProviderButtonsProps } from "./provider-buttons.tsx";
import { SecondFactorForm } from "./second-factor-form.tsx";
import { useSignInFlow, type HeadingProps, type SignInProps } from "./sign-in-flow.ts";

/** Props of `SignUp`. */
export interface SignUpProps
  extends SignInProps, HeadingProps, Pick<ProviderButtonsProps, "providers"> {
  /** The page with `SignIn`, for users with an account. */
  readonly signInUrl?: string;
  /** Whether the form has a name field. Default true. */
  readonly asksName?: boolean;
}

/**
 * The sign-up form, which asks for the emailed code if the server sends email. It uses the same
 * classes as `SignIn`.
 *
 * @example
 * <SignUp redirectTo="/notes" signInUrl="/sign-in" />;
 */
export function SignUp({
  providers,
  signInUrl,
  asksName = true,
  title,
  subtitle,
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
      <Heading title={title} subtitle={subtitle} />
      <div className="pylon-ways">
        <ProviderButtons sync={sync} providers={providers} redirectTo={props.redirectTo} />
      </div>
      <p className="pylon-divider">or</p>
      <Form action="Create the account" onSend={register}>
        {asksName && <Field label="Name" name="displayName" autoComplete="name" isOptional />}
        <EmailField />
        <PasswordField isNew />
      </Form>
      {signInUrl !== undefined && <SignInLink url={signInUrl} />}
    </div>
  );
}

/** The way to the form for those who have an account. */
function SignInLink({ url }: { readonly url: string }): ReactElement {
  return (
    <nav className="pylon-links">
      <p className="pylon-other">
        Already have an account?{" "}
        <a className="pylon-link" href={url}>
          Sign in
        </a>
      </p>
    </nav>
  );
}
