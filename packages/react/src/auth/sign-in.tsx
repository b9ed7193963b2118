import { useState, type ReactElement } from "react";
import { safePath } from "../safe-path.ts";
import { signInWithPassword } from "./calls.ts";
import { CodeForm, type MailFormProps } from "./code-form.tsx";
import { ForgotPassword, type ForgotPasswordProps } from "./forgot-password.tsx";
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
    const back = (): void => show(typed[0] ?? "password");
    return (
      <Forgot
        sync={flow.sync}
        email={email}
        {...(resetUrl === undefined ? {} : { resetUrl })}
        onBack={back}
      />
    );
  }
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
      <TypedForm
        view={view}
        flow={flow}
        email={email}
        onEmail={setEmail}
        isFirst={hasChanged}
        redirectTo={props.redirectTo}
      />
      <Links view={view} typed={typed} onShow={show} signUpUrl={signUpUrl} />
    </div>
  );
}

function Forgot({
  onBack,
  ...props
}: ForgotPasswordProps & { readonly onBack: () => void }): ReactElement {
  return (
    <div className="pylon-auth">
      <ForgotPassword {...props} />
      <nav className="pylon-links">
        <button type="button" className="pylon-link" onClick={onBack}>
          Back
        </button>
      </nav>
    </div>
  );
}

/** The ways to sign in by which something is typed. */
function TypedForm({
  view,
  isFirst,
  redirectTo,
  ...byMail
}: MailFormProps & {
  readonly view: Typed | undefined;
  readonly isFirst: boolean;
  readonly redirectTo: string | undefined;
}): ReactElement | null {
  const { flow, email, onEmail } = byMail;
  switch (view) {
    case "password":
      return (
        <Form
          action="Sign in"
          onSend={({ email: address = "", password = "" }) =>
            flow.run(() => signInWithPassword(address, password, { sync: flow.sync }))
          }
        >
          <EmailField defaultValue={email} onValue={onEmail} isFirst={isFirst} />
          <PasswordField />
        </Form>
      );
    case "code":
      return <CodeForm {...byMail} />;
    case "link":
      return (
        <LinkForm
          {...byMail}
          callback={() =>
            new URL(redirectTo === undefined ? location.href : safePath(redirectTo), location.href)
              .href
          }
        />
      );
    default:
      return null;
  }
}

function Links({
  view,
  typed,
  onShow,
  signUpUrl,
}: {
  readonly view: Typed | undefined;
  readonly typed: readonly Typed[];
  readonly onShow: (view: View) => void;
  readonly signUpUrl: string | undefined;
}): ReactElement {
  return (
    <nav className="pylon-links">
      {typed
        .filter((method) => method !== view)
        .map((method) => (
          <button key={method} type="button" className="pylon-link" onClick={() => onShow(method)}>
            {CHANGE_TO[method]}
          </button>
        ))}
      {typed.includes("password") && (
        <button type="button" className="pylon-link" onClick={() => onShow("forgot")}>
          Forgot the password?
        </button>
      )}
      {signUpUrl !== undefined && (
        <a className="pylon-link" href={signUpUrl}>
          Create an account
        </a>
      )}
    </nav>
  );
}
