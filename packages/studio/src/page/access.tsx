import { createSyncEngine, type SyncEngine } from "@pylonsync/sync";
import { useCallback, useEffect, useState, type FormEvent, type ReactElement } from "react";
import { Api, devSession, isAdminToken, type DevSession } from "./api.ts";
import { Page } from "./app.tsx";
import { StudioContext, type Studio } from "./context.ts";
import type { App } from "./model.ts";
import { Problem } from "./parts.tsx";

type State =
  | { readonly kind: "starting" }
  /** The admin has to enter the token. */
  | { readonly kind: "locked"; readonly session: DevSession }
  | { readonly kind: "open"; readonly studio: Studio }
  | { readonly kind: "failed"; readonly error: Error };

/** The pause before a server that did not respond is asked again. */
const RETRY_MS = 2_000;

/** Shows Studio once it has a token: in dev mode from the server, otherwise from a person. */
export function Access(): ReactElement | null {
  const [state, setState] = useState<State>({ kind: "starting" });
  const [round, setRound] = useState(0);
  const lock = useCallback(() => setRound((before) => before + 1), []);
  const unlock = useCallback(
    async (token: string, session: DevSession) =>
      setState({ kind: "open", studio: await open(token, session, lock) }),
    [lock],
  );
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    devSession()
      .then(async (session) => {
        if (session.token === null) setState({ kind: "locked", session });
        else await unlock(session.token, session);
      })
      .catch((error: Error) => {
        // The server is restarting. An open page stays, with what was entered in it.
        setState((before) => (before.kind === "open" ? before : { kind: "failed", error }));
        timer = setTimeout(lock, RETRY_MS);
      });
    return () => clearTimeout(timer);
  }, [lock, unlock, round]);
  const engine = state.kind === "open" ? state.studio.engine : null;
  useEffect(() => {
    // In dev mode, a restarted server has another token.
    const forget = engine?.onStatus(({ connection }) => {
      if (connection === "unauthorized") lock();
    });
    return () => {
      forget?.();
      engine?.stop();
    };
  }, [engine, lock]);
  switch (state.kind) {
    case "starting":
      return null;
    case "failed":
      return (
        <main className="gate">
          <Problem error={state.error} />
        </main>
      );
    case "locked":
      return <Gate hint={state.session.hint} onToken={(token) => unlock(token, state.session)} />;
    default:
      return (
        <StudioContext value={state.studio}>
          <Page />
        </StudioContext>
      );
  }
}

/**
 * Opens Studio with an admin token. The token stays in this page's memory: pages of the app have
 * the same origin, and could read it from any storage.
 */
async function open(token: string, session: DevSession, onEnded: () => void): Promise<Studio> {
  const api = new Api(token, onEnded);
  const app = await api.get<App>("/api/manifest");
  const { hasMailbox } = session;
  return { api, app, engine: engineFor(token), isDev: session.token !== null, hasMailbox };
}

/** An engine that holds only the rows that are shown, and stores nothing in the browser. */
function engineFor(token: string): SyncEngine {
  const values = new Map<string, string>();
  const engine = createSyncEngine(location.origin, {
    token,
    appName: "pylon-studio",
    sync: "queries",
    persist: false,
    storage: {
      get: (key) => values.get(key) ?? null,
      set: (key, value) => void values.set(key, value),
      remove: (key) => void values.delete(key),
    },
  });
  engine.start();
  return engine;
}

interface GateProps {
  readonly hint: string | undefined;
  readonly onToken: (token: string) => Promise<void>;
}

/** Asks for the admin token. */
function Gate({ hint, onToken }: GateProps): ReactElement {
  const [error, setError] = useState<Error | null>(null);
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const token = new FormData(event.currentTarget).get("token");
    if (typeof token !== "string") return;
    isAdminToken(token)
      .then(async (isAdmin) => {
        if (!isAdmin) throw new Error("This is not the admin token of this server.");
        await onToken(token);
      })
      .catch((problem: Error) => setError(problem));
  };
  return (
    <main className="gate">
      <form onSubmit={submit}>
        <h1>Studio</h1>
        <p>{hint ?? "Enter the admin token of this server, the value of PYLON_ADMIN_TOKEN."}</p>
        <label>
          Admin token
          <input name="token" type="password" autoComplete="current-password" required autoFocus />
        </label>
        <button type="submit" className="primary">
          Open Studio
        </button>
        <Problem error={error} />
      </form>
    </main>
  );
}
