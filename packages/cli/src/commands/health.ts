import { get } from "node:http";
import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";

const TIMEOUT_MS = 5_000;
const DEFAULT_PORT = "4321";
/** Far more than `/health` ever returns, because another program may be responding there. */
const MAX_BODY_BYTES = 64 * 1024;
/** A server that listens on all addresses is reached on the loopback address. */
const EVERYWHERE = new Set(["", "0.0.0.0", "::", "[::]"]);

interface Finding {
  readonly isUp: boolean;
  readonly message: string;
  readonly status: number | null;
}

/** Designed as a container's health check: quick, and without the server's modules. */
export const health = defineCommand({
  name: "health",
  args: [],
  summary: "Check whether the server on this machine is up: exit code 0 if it is, else 1.",
  options: {
    port: {
      type: "string",
      value: "N",
      summary: "The server's port; default PYLON_PORT, or 4321.",
    },
  },
  async run({ options, output, env }) {
    const port = portOf(options.port, env["PYLON_PORT"]);
    const url = `http://${hostOf(env["PYLON_HOST"] ?? "")}:${port}/health`;
    const { isUp, message, status } = await ask(url);
    if (isUp) output.say(message);
    else output.warn(`pylon: ${message}`);
    output.json({ code: isUp ? "HEALTH_OK" : "HEALTH_FAILED", url, status, message });
    return isUp ? EXIT.OK : EXIT.FAILED;
  },
});

function hostOf(host: string): string {
  if (EVERYWHERE.has(host)) return "127.0.0.1";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/** @throws CommandError HEALTH_INVALID_PORT */
function portOf(flag: string | undefined, variable: string | undefined): string {
  const text = flag ?? (variable === undefined || variable === "" ? DEFAULT_PORT : variable);
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return text;
  throw new CommandError(
    "HEALTH_INVALID_PORT",
    `${flag === undefined ? "PYLON_PORT" : "--port"} is "${text}": use the port that the server ` +
      "listens on, from 1 to 65535.",
    EXIT.USAGE,
  );
}

// Does not use `fetch`, which would use HTTP_PROXY if a container sets it.
function ask(url: string): Promise<Finding> {
  return new Promise((resolve) => {
    const fail = (message: string, status: number | null = null): void =>
      resolve({ isUp: false, message, status });
    const timer = setTimeout(
      () => fail(`${url} did not respond within ${TIMEOUT_MS / 1000} s.`),
      TIMEOUT_MS,
    );
    const request = get(url, { agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
        if (body.length > MAX_BODY_BYTES)
          fail(
            `${url} sent a much larger response than a health check: another program is ` +
              `listening there.`,
            status,
          );
      });
      response.on("error", ({ message }) =>
        fail(`${url} aborted its response: ${message}`, status),
      );
      response.on("end", () => {
        clearTimeout(timer);
        const uptime = uptimeOf(body);
        if (status !== 200) fail(`${url} returned ${status}.`, status);
        else if (uptime === null)
          fail(
            `${url} returned 200, but not a response of Pylon: another program is listening ` +
              `there.`,
            status,
          );
        else resolve({ isUp: true, message: `${url} is up for ${uptime} s.`, status });
      });
    });
    request.on("error", ({ message }) => fail(`${url} can't be reached: ${message}`));
  });
}

/** Null if the body is not a healthy response of a Pylon server. */
function uptimeOf(body: string): number | null {
  try {
    const { status, uptime_seconds: uptime }: Readonly<Record<string, unknown>> = JSON.parse(body);
    return status === "ok" && typeof uptime === "number" ? uptime : null;
  } catch {
    return null;
  }
}
