import {
  createContext,
  use,
  useEffect,
  useId,
  useRef,
  useState,
  type FormEvent,
  type ReactElement,
  type ReactNode,
} from "react";
import { problemOf, type Problem } from "./problem.ts";

type Values = Readonly<Record<string, string>>;

interface FormState {
  readonly problem: Problem | null;
  readonly problemId: string;
}

const FormContext = createContext<FormState>({ problem: null, problemId: "" });

/** Props of `Form`. */
export interface FormProps {
  /** What the button says. */
  readonly action: string;
  /**
   * What the form does with what was typed; why it is refused is shown, at the field that it is
   * about.
   */
  readonly onSend: (values: Values) => Promise<void>;
  readonly className?: string;
  /** The button warns of what can't be undone. */
  readonly isDanger?: boolean;
  readonly children?: ReactNode;
}

/**
 * A form that sends one request at a time and shows why it was refused, in an alert that screen
 * readers announce.
 */
export function Form({
  action,
  onSend,
  className = "",
  isDanger = false,
  children,
}: FormProps): ReactElement {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const problemId = useId();
  useEffect(() => {
    if (problem?.field === undefined) return;
    const inputs = [...(form.current?.querySelectorAll("input") ?? [])];
    inputs.find(({ name }) => name === problem.field)?.focus();
  }, [problem]);

  const send = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    if (isBusy) return;
    const values = Object.fromEntries(
      [...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]),
    );
    setBusy(true);
    setProblem(null);
    onSend(values)
      .catch((reason: unknown) => setProblem(problemOf(reason)))
      .finally(() => setBusy(false));
  };

  return (
    <FormContext value={{ problem, problemId }}>
      <form
        ref={form}
        className={`pylon-form ${className}`.trim()}
        onSubmit={send}
        aria-busy={isBusy}
      >
        {children}
        <p className="pylon-error" role="alert" id={problemId}>
          {problem?.text}
        </p>
        <button
          className={isDanger ? "pylon-button pylon-danger" : "pylon-button"}
          disabled={isBusy}
        >
          {action}
        </button>
      </form>
    </FormContext>
  );
}

/** Props of `Field`. */
export interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly type?: "password";
  /** An address, for keyboards on a screen: not capitalised and not corrected. */
  readonly isEmail?: boolean;
  readonly autoComplete: string;
  readonly minLength?: number;
  /** What the text must be, whole, and how that is said to people. */
  readonly pattern?: string;
  readonly title?: string;
  readonly defaultValue?: string;
  readonly onValue?: (value: string) => void;
  readonly isOptional?: boolean;
  /** The step begins here: who comes to it by keyboard or hears it read need not look for it. */
  readonly isFirst?: boolean;
}

/** Of the type `email` browsers refuse letters outside of ASCII in front of the `@`. */
const EMAIL_INPUT = { inputMode: "email", autoCapitalize: "none", spellCheck: false } as const;

/** An input with its label. */
export function Field({
  label,
  isOptional = false,
  isFirst = false,
  isEmail = false,
  onValue,
  ...input
}: FieldProps): ReactElement {
  const { problem, problemId } = use(FormContext);
  const element = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (isFirst) element.current?.focus();
  }, [isFirst]);
  const isWrong = problem?.field === input.name;
  return (
    <label className="pylon-field">
      <span>{label}</span>
      <input
        ref={element}
        required={!isOptional}
        {...(isEmail ? EMAIL_INPUT : {})}
        {...input}
        {...(onValue === undefined ? {} : { onChange: ({ target }) => onValue(target.value) })}
        {...(isWrong ? { "aria-invalid": true, "aria-describedby": problemId } : {})}
      />
    </label>
  );
}

/** The e-mail field, whose value is kept when the user changes the way to sign in. */
export function EmailField(
  props: Pick<FieldProps, "defaultValue" | "onValue" | "isFirst">,
): ReactElement {
  return <Field label="E-mail" name="email" isEmail autoComplete="username" {...props} />;
}

/** Not shown: tells password managers whose password the form is about. */
export function HiddenUsername({ email }: { readonly email: string }): ReactElement {
  return <input hidden readOnly name="username" autoComplete="username" value={email} />;
}

/** A field for the current password, or for a new one. */
export function PasswordField({
  label = "Password",
  name = "password",
  isNew = false,
  isFirst = false,
  isOptional = false,
}: {
  readonly label?: string;
  readonly name?: string;
  readonly isNew?: boolean;
  readonly isFirst?: boolean;
  readonly isOptional?: boolean;
}): ReactElement {
  return (
    <Field
      label={label}
      name={name}
      type="password"
      autoComplete={isNew ? "new-password" : "current-password"}
      isFirst={isFirst}
      isOptional={isOptional}
      {...(isNew ? { minLength: 8 } : {})}
    />
  );
}

/** The code of a mail or an app, which phones offer to fill in. */
export function CodeField({ label = "Code" }: { readonly label?: string }): ReactElement {
  return <Field label={label} name="code" autoComplete="one-time-code" isFirst />;
}

/** A status message that does not take the focus. */
export function Note({ children }: { readonly children: ReactNode }): ReactElement {
  return (
    <p className="pylon-note" role="status">
      {children}
    </p>
  );
}
