import { useCallback, useEffect, useState } from "react";
import { useStudio } from "./context.ts";
import { poll } from "./poll.ts";

/** The latest response of a route. */
export interface Loaded<T> {
  /** Undefined until the first response. */
  readonly data: T | undefined;
  readonly error: Error | null;
  /** Requests it again now, for example after an action. */
  readonly reload: () => void;
}

/**
 * How often a shown list is requested again, in milliseconds: in production, all requests from an
 * address share its rate limit.
 */
const EVERY_MS = { dev: 2_000, production: 10_000 } as const;

/** Requests a route now and every few seconds, while the page is visible. */
export function useLoaded<T>(path: string): Loaded<T> {
  const { api, isDev } = useStudio();
  const [state, setState] = useState<{ path: string; data?: T; error: Error | null }>({
    path,
    error: null,
  });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    const load = (): Promise<void> =>
      api.get<T>(path, abort.signal).then(
        (data) => {
          if (!abort.signal.aborted) setState({ path, data, error: null });
        },
        (error: Error) => {
          if (!abort.signal.aborted)
            setState((before) => (before.path === path ? { ...before, error } : { path, error }));
        },
      );
    const stop = poll(load, isDev ? EVERY_MS.dev : EVERY_MS.production);
    return () => {
      stop();
      abort.abort();
    };
  }, [api, isDev, path, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  const isCurrent = state.path === path;
  return {
    data: isCurrent ? state.data : undefined,
    error: isCurrent ? state.error : null,
    reload,
  };
}

/** An action that a button starts. */
export interface Action {
  readonly isRunning: boolean;
  readonly error: Error | null;
  readonly run: (work: () => Promise<unknown>) => void;
}

/** Runs one action at a time, and keeps the error of the last one. */
export function useAction(): Action {
  const [state, setState] = useState<{ isRunning: boolean; error: Error | null }>({
    isRunning: false,
    error: null,
  });
  const run = useCallback((work: () => Promise<unknown>) => {
    setState({ isRunning: true, error: null });
    work().then(
      () => setState({ isRunning: false, error: null }),
      (error: Error) => setState({ isRunning: false, error }),
    );
  }, []);
  return { ...state, run };
}
