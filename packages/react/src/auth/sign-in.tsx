import { useState, type ReactElement } from "react";
import { safePath } from "../safe-path.ts";
import { signInWithPassword } from "./calls.ts";
import { CodeForm } from "./code-form.tsx";
import { ForgotPassword } from "./forgot-password.tsx";
import { EmailField, Form, PasswordField } from "./form.tsx";
import { LinkForm } from "./link-form.tsx";
import { useOAuthReturn } from "./oauth-return.ts";
import { PasskeyButton } from "./passkey-button.tsx";
import { ProviderButtons, type ProviderButtonsProps } from "./provider-buttons.tsx";
import { SecondFactorForm } from "./second-factor-form.tsx";
import { useSignInFlow, type SignInProps } from "./sign-in-flow.ts";

/** A way to sign in. `code` and `link` come by mail. */
export type SignInMethod = "password" | "code" | "link" | "passkey" | "provider";

/** Props of `SignIn`. */
export interface SignInFormProps extends SignInProps, Pick<ProviderButtonsProps, "providers"> {
  /**
   * Which ways are shown, the first of `password`, `code` and `link` at once. Default all but
   * `link`.
   */
  readonly methods?: readonly SignInMethod[];
  /** The page with `SignUp`, for who has no account. */
  readonly signUpUrl?: string;
  /** Your page with `ResetPassword`, that the mail leads to; by default the server's own. */
  readonly resetUrl?: string;
}

type Typed = "password" | "code" | "link";
type View = Typed | "forgot";

const DEFAULT_METHODS: readonly SignInMethod[] = ["password", "code", "passkey", "provider"];
const CHANGE_TO: Readonly<Record<Typed, string>> = {
  password: "Use the password",
  code: "Use a code by mail",
  link: "Use a link by mail",
};

/**
 * The sign-in form, with the ways that the server and the browser support, and the second factor
 * where the user has one. It has no style of its own: import `@pylonsync/react/styles.css`, or
 * style its classes.
 *
 * @example
 * <SignIn redirectTo="/notes" signUpUrl="/sign-up" />;
 */
export function SignIn({
  methods = DEFAULT_METHODS,
  providers,
  signUpUrl,
  resetUrl,
  ...props
}: SignInFormProps): ReactElement {
  const flow = useSignInFlow(props);
  const typed = methods.filter((method): method is Typed => method in CHANGE_TO);
  const [view, setView] = useState<View | undefined>(typed[0]);
  const [hasChanged, setChanged] = useState(false);
  const [email, setEmail] = useState("");
  const returned = useOAuthReturn(flow);
  const show = (next: View): void => {
    setView(next);
    setChanged(true);
  };

  if (flow.mfaToken !== null) return <SecondFactorForm flow={flow} />;
  if (view === "forgot") {
    return (
      <div className="pylon-auth">
        <ForgotPassword
          sync={flow.sync}
          email={email}
          {...(resetUrl === undefined ? {} : { resetUrl })}
        />
        <nav className="pylon-links">
          <button type="button" className="pylon-link" onClick={() => show(typed[0] ?? "password")}>
            Back
          </button>
        </nav>
      </div>
    );
  }
  const byMail = { flow, email, onEmail: setEmail };
  return (
    <div className="pylon-auth">
      {methods.includes("provider") && (
        <ProviderButtons
          sync={flow.sync}
          {...(providers === undefined ? {} : { providers })}
          {...(props.redirectTo === undefined ? {} : { redirectTo: props.redirectTo })}
        />
      )}
      {methods.includes("passkey") && <PasskeyButton flow={flow} />}
      {returned !== null && (
        <p className="pylon-error" role="alert">
          {returned}
        </p>
      )}
      {view === "password" && (
        <Form
          action="Sign in"
          onSend={({ email: address = "", password = "" }) =>
            flow.run(() => signInWithPassword(address, password, { sync: flow.sync }))
          }
        >
          <EmailField defaultValue={email} onValue={setEmail} isFirst={hasChanged} />
          <PasswordField />
        </Form>
      )}
      {view === "code" && <CodeForm {...byMail} />}
      {view === "link" && (
        <LinkForm
          {...byMail}
          callback={() =>
            new URL(
              props.redirectTo === undefined ? location.href : safePath(props.redirectTo),
              location.href,
            ).href
          }
        />
      )}
      <nav className="pylon-links">
        {typed
          .filter((method) => method !== view)
          .map((method) => (
            <button key={method} type="button" className="pylon-link" onClick={() => show(method)}>
              {CHANGE_TO[method]}
            </button>
          ))}
        {typed.includes("password") && (
          <button type="button" className="pylon-link" onClick={() => show("forgot")}>
            Forgot the password?
          </button>
        )}
        {signUpUrl !== undefined && (
          <a className="pylon-link" href={signUpUrl}>
            Create an account
          </a>
        )}
      </nav>
    </div>
  );
}
