const POLL_MS = 200;
/** A script that leaves its work in the background ends before it. */
const IN_BACKGROUND = /(^|[^&])&($|[^&])/;

/**
 * Calls back once the shell that npm runs a script in has ended: npm sends SIGTERM to that shell
 * alone, and `sh -c` ends without handing it on. Elsewhere a parent that ends means nothing: a
 * server may outlive the terminal that started it.
 *
 * @param {() => void} onOrphaned
 * @returns {void}
 */
export function whenOrphaned(onOrphaned) {
  const script = process.env["npm_lifecycle_script"];
  if (script === undefined || IN_BACKGROUND.test(script)) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onOrphaned();
  }, POLL_MS);
  timer.unref();
}
