import type { AnswerHeaders } from "../request/responses.ts";

/** Headers of all responses, which an endpoint of the app can override. */
const OVERRIDABLE = [
  "X-Content-Type-Options",
  "X-Frame-Options",
  "Referrer-Policy",
  "Permissions-Policy",
];

/** Applies the headers that the app sets, and its CORS settings for headers it does not set. */
export function withOwnHeaders(
  response: Response,
  own: Headers | null,
  cors: AnswerHeaders | null,
): Response {
  const { headers } = response;
  for (const name of OVERRIDABLE) {
    const value = own?.get(name) ?? null;
    if (value !== null) headers.set(name, value);
  }
  if (cors === null) return response;
  for (const name of [...headers.keys()])
    if (name.startsWith("access-control-") && own?.has(name) !== true) headers.delete(name);
  for (const [name, value] of Object.entries(cors)) {
    if (name === "Vary") addTo(headers, name, String(value));
    else if (own?.has(name) !== true) headers.set(name, String(value));
  }
  return response;
}

/** Adds a value to a header that is a list, unless it contains it. */
function addTo(headers: Headers, name: string, value: string): void {
  const listed = headers.get(name)?.split(/,\s*/) ?? [];
  if (!listed.includes(value)) headers.append(name, value);
}
