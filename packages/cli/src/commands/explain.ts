import { nearest } from "@pylonsync/query";
import * as v from "valibot";
import page from "../../../../docs/errors.md" with { type: "text" };
import { defineCommand } from "../command.ts";
import type { Environment } from "../env-files.ts";
import { CommandError, EXIT, type Output } from "../output.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";
import { ExplanationSchema, explanationText } from "../remote/explanation.ts";

/** The meaning of a code. */
interface Explanation {
  readonly code: string;
  /** The HTTP status; null for a code of the client. */
  readonly status: number | null;
  /** When it is returned, and what to do. */
  readonly meaning: string;
}

/** `` | `CODE`, `CODE` | 400 | when | ``, and without a status for codes of the client. */
const ROW = /^\| (`[^|]+`) \|(?: (\d{3}) \|)? ([^|]+) \|$/gm;

/** `pylon explain`: explains an error code, or who may access an entity in which way. */
export const explain = defineCommand({
  name: "explain",
  args: ["[CODE|ENTITY]"],
  summary:
    "Explain an error code, or list all codes. For an entity, show what the policies allow and " +
    "whether its reads use an index.",
  options: {
    as: {
      type: "string",
      value: "USER",
      summary:
        'Whose rights: a user\'s id, or an identity such as \'{"userId": "u1", "roles": ' +
        '["editor"]}\'; default an anonymous caller.',
    },
    id: { type: "string", value: "ID", summary: "A row of the entity." },
    url: URL_OPTION,
  },
  async run({ args, options, output, env }) {
    const all = explanations(page);
    const [word] = args;
    const { as, id, url } = options;
    const isAsked = [as, id, url].some((option) => option !== undefined);
    if (word !== undefined && (isAsked || isEntityName(word)))
      return explainEntity(word, options, output, env);
    if (word === undefined) {
      output.say(all.map(({ code, status }) => `${code}  ${status ?? "client"}`).join("\n"));
      output.json({ codes: all });
      return EXIT.OK;
    }
    const name = word.toUpperCase();
    const found = all.find(({ code }) => code === name);
    if (found === undefined) throw unknownCode(name, all);
    const { code, status, meaning } = found;
    output.say(
      `${code} (${status === null ? "raised by the client" : `HTTP ${status}`}): ${meaning}`,
    );
    output.json({ ...found });
    return EXIT.OK;
  },
});

/** Codes are in upper case, the names of most entities are not. */
function isEntityName(word: string): boolean {
  return /^[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9_]*$/.test(word);
}

async function explainEntity(
  entity: string,
  { as, id, url }: { readonly as?: string; readonly id?: string; readonly url?: string },
  output: Output,
  env: Environment,
): Promise<number> {
  const asked = { entity, as: identityOf(as), id: id ?? null };
  const client = new AdminClient(url, env);
  const answer = await client.send("POST", "/api/admin/explain", JSON.stringify(asked));
  const explanation = v.parse(ExplanationSchema, await answer.json());
  output.say(explanationText(explanation));
  output.json(explanation);
  return EXIT.OK;
}

/** @throws CommandError EXPLAIN_INVALID_IDENTITY */
function identityOf(as: string | undefined): unknown {
  if (as?.trimStart().startsWith("{") !== true) return as ?? null;
  try {
    return JSON.parse(as);
  } catch {
    throw new CommandError(
      "EXPLAIN_INVALID_IDENTITY",
      `The identity is not JSON: write --as '{"userId": "u1"}', in quotes.`,
      EXIT.USAGE,
    );
  }
}

function unknownCode(name: string, all: readonly Explanation[]): CommandError {
  const meant = nearest(
    name,
    all.map(({ code }) => code),
  );
  const hint =
    meant === undefined
      ? "Functions can define their own codes, and `pylon doctor` prints how to fix what it finds."
      : `Did you mean ${meant}?`;
  return new CommandError("UNKNOWN_CODE", `${name} is not an error code of the server. ${hint}`);
}

function explanations(text: string): Explanation[] {
  return [...text.matchAll(ROW)].flatMap(([, codes = "", status, meaning = ""]) =>
    [...codes.matchAll(/`([A-Z_0-9]+)`/g)].map(([, code = ""]) => ({
      code,
      status: status === undefined ? null : Number(status),
      meaning: plain(meaning),
    })),
  );
}

/** Removes Markdown formatting. */
function plain(text: string): string {
  return text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
}
