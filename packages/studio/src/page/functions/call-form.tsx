import { useState, type FormEvent, type ReactElement } from "react";
import { useStudio } from "../context.ts";
import { callerOf } from "../data/caller.ts";
import { parseJson } from "../data/field-value.ts";
import { durationText } from "../format.ts";
import { Json, Problem } from "../parts.tsx";
import { useAction } from "../use-loaded.ts";
import { exampleArgs } from "./example-args.ts";
import type { FunctionInfo } from "./functions-page.tsx";

interface Outcome {
  readonly result: unknown;
  readonly ms: number;
}

/** Calls a function with JSON arguments, as the admin or as a user. */
export function CallForm({ info }: { readonly info: FunctionInfo }): ReactElement {
  const { api } = useStudio();
  const [text, setText] = useState(() =>
    JSON.stringify(exampleArgs(info.args_schema ?? {}), null, 2),
  );
  const [user, setUser] = useState("");
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const { isRunning, error, run } = useAction();
  const call = (event: FormEvent): void => {
    event.preventDefault();
    setOutcome(null);
    run(async () => {
      const entered = parseJson(text);
      if ("problem" in entered) throw new Error(entered.problem);
      const as = user.trim() === "" ? {} : { as: callerOf(user) };
      const started = performance.now();
      const result = await api.send("POST", "/api/run", {
        function: info.name,
        args: entered.value,
        ...as,
      });
      setOutcome({ result, ms: performance.now() - started });
    });
  };
  return (
    <form className="call" onSubmit={call}>
      <h2>{info.name}</h2>
      <label>
        Arguments, as JSON
        <textarea
          value={text}
          rows={Math.min(14, Math.max(4, text.split("\n").length))}
          spellCheck={false}
          onChange={({ target }) => setText(target.value)}
        />
      </label>
      <label>
        Call as the user
        <input
          value={user}
          placeholder="user id, or JSON with roles; empty: the admin"
          onChange={({ target }) => setUser(target.value)}
        />
      </label>
      <footer>
        <button type="submit" className="primary" disabled={isRunning}>
          {isRunning ? "Running…" : "Call"}
        </button>
        {outcome !== null && <small>{durationText(outcome.ms)}</small>}
      </footer>
      <Problem error={error} />
      {outcome !== null && <Json value={outcome.result} />}
    </form>
  );
}
