import { useState, type FormEvent, type ReactElement } from "react";
import { useStudio } from "../context.ts";
import { Badge, Problem } from "../parts.tsx";
import { useAction } from "../use-loaded.ts";
import { callerOf } from "./caller.ts";

interface PolicyResult {
  readonly name: string;
  readonly rule: string;
  readonly outcome: string;
}

interface Explanation {
  readonly access: Readonly<
    Record<string, { readonly outcome: string; readonly policies: readonly PolicyResult[] }>
  >;
  readonly closed_fields: readonly string[];
}

interface AccessCheckProps {
  readonly entity: string;
  readonly id: string;
}

/** Tells what a user may do with a row, and which policies decide it. */
export function AccessCheck({ entity, id }: AccessCheckProps): ReactElement {
  const { api } = useStudio();
  const { isRunning, error, run } = useAction();
  const [user, setUser] = useState("");
  const [explanation, setExplanation] = useState<Explanation | null>(null);
  const check = (event: FormEvent): void => {
    event.preventDefault();
    setExplanation(null);
    run(async () =>
      setExplanation(
        await api.send("POST", "/api/admin/explain", {
          entity,
          id,
          as: callerOf(user),
        }),
      ),
    );
  };
  return (
    <form className="access" onSubmit={check}>
      <h3>Who may do what?</h3>
      <div className="line">
        <input
          aria-label="User id"
          placeholder="user id, or JSON; empty: not signed in"
          value={user}
          onChange={({ target }) => {
            setUser(target.value);
            // It is about another caller now.
            setExplanation(null);
          }}
        />
        <button type="submit" disabled={isRunning}>
          Check
        </button>
      </div>
      <Problem error={error} />
      {explanation !== null && <Outcome explanation={explanation} />}
    </form>
  );
}

function Outcome({ explanation }: { readonly explanation: Explanation }): ReactElement {
  const { access, closed_fields: closed } = explanation;
  return (
    <dl>
      {Object.entries(access).map(([kind, { outcome, policies }]) => (
        <div key={kind}>
          <dt>
            {kind} <Badge>{outcome}</Badge>
          </dt>
          {policies.map((policy) => (
            <dd key={policy.name}>
              {policy.name}: <code>{policy.rule}</code> {policy.outcome}
            </dd>
          ))}
        </div>
      ))}
      {closed.length > 0 && <div>Fields that this user can't read: {closed.join(", ")}</div>}
    </dl>
  );
}
