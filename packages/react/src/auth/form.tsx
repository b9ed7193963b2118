import {
  createContext,
  use,
  useCallback,
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
  /** Registers a field of this name, until the returned function is called. */
  readonly addField: (name: string) => () => void;
}

const FormContext = createContext<FormState>({ problem: null, addField: () => () => undefined });

/** Props of `Form`. */
export interface FormProps {
  /** The text of the button. */
  readonly action: string;
  /** Handles the submitted values. An error is shown at the field that it is about. */
  readonly onSend: (values: Values) => Promise<void>;
  readonly className?: string;
  /** Styles the button as a destructive action. */
  readonly isDanger?: boolean;
  /** Styles the button as one of several equal actions. */
  readonly isPlain?: boolean;
  /** Shown in the button, before its text. */
  readonly icon?: ReactNode;
  readonly children?: ReactNode;
}

/**
 * A form that sends one request at a time and shows an error as an alert that screen readers
 * announce.
 */
export function Form({
  action,
  onSend,
  className = "",
  isDanger = false,
  isPlain = false,
  icon,
  children,
}: FormProps): ReactElement {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const [fields, addField] = useFieldNames();
  const isAtField = problem?.field !== undefined && fields.includes(problem.field);
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
    <FormContext value={{ problem, addField }}>
      <form
        ref={form}
        className={`pylon-form ${className}`.trim()}
        onSubmit={send}
        aria-busy={isBusy}
      >
        {children}
        <p className="pylon-error" role="alert">
          {isAtField ? null : problem?.text}
        </p>
        <button
          className={["pylon-button", isDanger && "pylon-danger", isPlain && "pylon-plain"]
            .filter(Boolean)
            .join(" ")}
          disabled={isBusy}
          aria-busy={isBusy}
        >
          {icon}
          {action}
        </button>
      </form>
    </FormContext>
  );
}

/** The names of the fields in a form, and the function with which fields register. */
function useFieldNames(): readonly [readonly string[], FormState["addField"]] {
  const [fields, setFields] = useState<readonly string[]>([]);
  const addField = useCallback((name: string) => {
    setFields((names) => [...names, name]);
    return () => setFields((names) => names.filter((known) => known !== name));
  }, []);
  return [fields, addField];
}

/** Props of `Field`. */
export interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly type?: "password";
  /** An email address, for on-screen keyboards: no capitalization and no autocorrection. */
  readonly isEmail?: boolean;
  readonly autoComplete: string;
  readonly minLength?: number;
  /** A pattern that the whole value must match, and its description for users. */
  readonly pattern?: string;
  readonly title?: string;
  readonly defaultValue?: string;
  readonly onValue?: (value: string) => void;
  readonly isOptional?: boolean;
  /** Whether the label marks the field as optional; default: if it is optional. */
  readonly hasNote?: boolean;
  /** The first field of the step: it receives the focus. */
  readonly isFirst?: boolean;
}

/** Inputs of the type `email` reject non-ASCII characters before the `@` in browsers. */
const EMAIL_INPUT = { inputMode: "email", autoCapitalize: "none", spellCheck: false } as const;

/** An input with its label. */
export function Field({
  label,
  isOptional = false,
  isFirst = false,
  isEmail = false,
  hasNote = isOptional,
  onValue,
  ...input
}: FieldProps): ReactElement {
  const { problem, addField } = use(FormContext);
  const id = useId();
  const { name } = input;
  useEffect(() => addField(name), [addField, name]);
  const element = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (isFirst) element.current?.focus();
  }, [isFirst]);
  const isWrong = problem?.field === name;
  return (
    <div className="pylon-field">
      <label htmlFor={id}>
        {label}
        {hasNote && <small> (optional)</small>}
      </label>
      <input
        id={id}
        ref={element}
        required={!isOptional}
        {...(isEmail ? EMAIL_INPUT : {})}
        {...input}
        {...(onValue === undefined ? {} : { onChange: ({ target }) => onValue(target.value) })}
        {...(isWrong ? { "aria-invalid": true, "aria-describedby": `${id}-problem` } : {})}
      />
      {isWrong && (
        <p className="pylon-error" role="alert" id={`${id}-problem`}>
          {problem.text}
        </p>
      )}
    </div>
  );
}

/** The email field, whose value is kept when the user switches the sign-in method. */
export function EmailField(
  props: Pick<FieldProps, "defaultValue" | "onValue" | "isFirst">,
): ReactElement {
  return <Field label="E-mail" name="email" isEmail autoComplete="username" {...props} />;
}

/** Hidden: tells password managers which account the form is for. */
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

/** A field for a code from an email or an app, which phones offer to fill in. */
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
