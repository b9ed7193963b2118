import { useCallback, useEffect, useState } from "react";
import { problemOf } from "./problem.ts";

/** The result of a request, or the error. */
export interface Loaded<T> {
  readonly data: T | null;
  readonly problem: string | null;
  /** Runs an action, and repeats the request. An error is stored in `problem`. */
  readonly after: (act: () => Promise<unknown>) => void;
}

/**
 * Sends a request when the component mounts, and again after each action.
 *
 * @param load must be the same function as long as the request is the same
 */
export function useLoaded<T>(load: () => Promise<T>): Loaded<T> {
  const [data, setData] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [generation, setGeneration] = useState(0);
  useEffect(() => {
    let isGone = false;
    load().then(
      (found) => isGone || setData(found),
      (reason: unknown) => isGone || setProblem(problemOf(reason).text),
    );
    return () => {
      isGone = true;
    };
  }, [load, generation]);
  const after = useCallback((act: () => Promise<unknown>): void => {
    setProblem(null);
    act()
      .catch((reason: unknown) => setProblem(problemOf(reason).text))
      .finally(() => setGeneration((count) => count + 1));
  }, []);
  return { data, problem, after };
}
