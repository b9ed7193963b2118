import { nearest } from "@pylonsync/query";
import page from "../../../../docs/errors.md" with { type: "text" };
import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";

/** What a code means. */
interface Explanation {
  readonly code: string;
  /** Of the HTTP answer; null for a code of the client. */
  readonly status: number | null;
  /** When it is answered, and what to do. */
  readonly meaning: string;
}

/** `` | `CODE`, `CODE` | 400 | when | ``, and without a status for codes of the client. */
const ROW = /^\| (`[^|]+`) \|(?: (\d{3}) \|)? ([^|]+) \|$/gm;

/** `pylon explain`: what an error code means. */
export const explain = defineCommand({
  name: "explain",
  args: ["[CODE]"],
  summary: "Say what an error code means; without one, list them all.",
  options: {},
  run({ args, output }) {
    const all = explanations(page);
    const [word] = args;
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
      `${code} (${status === null ? "said by the client" : `HTTP ${status}`}): ${meaning}`,
    );
    output.json({ ...found });
    return EXIT.OK;
  },
});

function unknownCode(name: string, all: readonly Explanation[]): CommandError {
  const meant = nearest(
    name,
    all.map(({ code }) => code),
  );
  const hint =
    meant === undefined ? "An app's functions have codes of their own." : `Did you mean ${meant}?`;
  return new CommandError("UNKNOWN_CODE", `Pylon has no code ${name}. ${hint}`);
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

/** Without the marks of Markdown. */
function plain(text: string): string {
  return text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
}
