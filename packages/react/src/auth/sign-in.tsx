import { useState, type ReactElement } from "react";
import { safePath } from "../safe-path.ts";
import { signInWithPassword } from "./calls.ts";
import { CodeForm, type MailFormProps } from "./code-form.tsx";
import { ForgotPassword, type ForgotPasswordProps } from "./forgot-password.tsx";
import { EmailField, Form, PasswordField } from "./form.tsx";
import { Heading } from "./heading.tsx";
import { LinkForm } from "./link-form.tsx";
import { useOAuthReturn } from "./oauth-return.ts";
import { PasskeyButton } from "./passkey-button.tsx";
import { ProviderButtons, type ProviderButtonsProps } from "./provider-buttons.tsx";
import { SecondFactorForm } from "./second-factor-form.tsx";
import { useSignInFlow, type HeadingProps, type SignInProps } from "./sign-in-flow.ts";

/** A sign-in method. `code` and `link` are sent by email. */
export type SignInMethod = "password" | "code" | "link" | "passkey" | "provider";

/** Props of `SignIn`. */
export interface SignInFormProps
  extends SignInProps, HeadingProps, Pick<ProviderButtonsProps, "providers"> {
  /**
   * The methods to show. The first one of `password`, `code` and `link` is shown initially.
   * Default: all except `link`.
   */
  readonly methods?: readonly SignInMethod[];
  /** The page with `SignUp`, for users without an account. */
  readonly signUpUrl?: string;
  /** Your page with `ResetPassword`, to which the email links; default: the server's page. */
  readonly resetUrl?: string;
}

type Typed = "password" | "code" | "link";
type View = Typed | "forgot";

const DEFAULT_METHODS: readonly SignInMethod[] = ["password", "code", "passkey", "provider"];
const CHANGE_TO: Readonly<Record<Typed, string>> = {
  password: "Use a password",
  code: "Use an emailed code",
  link: "Use an emailed link",
};

/**
 * The sign-in form, with the methods that the server and the browser support, and the second factor
 * if the user has one. It is unstyled: import `@pylonsync/react/styles.css`, or style its classes.
 *
 * @example
 * <SignIn redirectTo="/notes" signUpUrl="/sign-up" />;
 */
export function SignIn({
  methods = DEFAULT_METHODS,
  providers,
  signUpUrl,
  resetUrl,
  title,
  subtitle,
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
      <Heading title={title} subtitle={subtitle} />
      <div className="pylon-ways">
        {methods.includes("provider") && (
          <ProviderButtons sync={flow.sync} providers={providers} redirectTo={props.redirectTo} />
        )}
        {methods.includes("passkey") && <PasskeyButton flow={flow} />}
      </div>
      {view !== undefined && <p className="pylon-divider">or</p>}
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

/** The sign-in methods with an input field. */
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
          Forgot password?
        </button>
      )}
      {signUpUrl !== undefined && (
        <p className="pylon-other">
          No account yet?{" "}
          <a className="pylon-link" href={signUpUrl}>
            Create an account
          </a>
        </p>
      )}
    </nav>
  );
}
