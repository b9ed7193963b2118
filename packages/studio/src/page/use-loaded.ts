import { useCallback, useEffect, useState } from "react";
import { useStudio } from "./context.ts";

/** The latest response of a route. */
export interface Loaded<T> {
  /** Undefined until the first response. */
  readonly data: T | undefined;
  readonly error: Error | null;
  /** Requests it again now, for example after an action. */
  readonly reload: () => void;
}

/** How often a shown list is requested again, in milliseconds. */
const EVERY_MS = 2_000;

/** Requests a route now and every two seconds, while the page is visible. */
export function useLoaded<T>(path: string): Loaded<T> {
  const { api } = useStudio();
  const [state, setState] = useState<{ path: string; data?: T; error: Error | null }>({
    path,
    error: null,
  });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    const load = (): void => {
      if (document.visibilityState === "hidden") return;
      api.get<T>(path, abort.signal).then(
        (data) => setState({ path, data, error: null }),
        (error: Error) => {
          if (!abort.signal.aborted) setState((before) => ({ ...before, path, error }));
        },
      );
    };
    load();
    const timer = setInterval(load, EVERY_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [api, path, turn]);
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
