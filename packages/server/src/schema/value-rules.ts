import { MAX_PATTERN_TEXT } from "@pylonsync/protocol";
import { compareDecimals, describeValue, nearest, normaliseDecimal } from "@pylonsync/query";
import type { ManifestField } from "@pylonsync/sdk";
import { decodedBytes, DEFAULT_FIELD_BYTES, FORMAT_WANTED, isOfFormat } from "./text-format.ts";

type Rules = Omit<ManifestField, "name" | "optional" | "unique">;

/** Why a value is rejected: the reason completes the sentence "the field ...". */
export interface BrokenRule {
  readonly reason: string;
  readonly hint?: string | undefined;
}

/** Returns why a value of the field's kind is rejected; undefined if it is valid. */
export type ValueRule = (value: string | number | boolean) => BrokenRule | undefined;

/**
 * The rules of a field for its values, beyond their kind, in the order in which they are checked.
 *
 * @returns undefined for a field that accepts every value of its kind
 */
export function valueRuleOf(field: Rules): ValueRule | undefined {
  const rules = [
    formatRule(field),
    enumRule(field),
    digitsRule(field),
    field.type === "decimal" ? rangeRule(field) : limitRule(field),
    patternRule(field),
  ].filter((rule) => rule !== undefined);
  if (rules.length <= 1) return rules[0];
  return (value) => {
    for (const rule of rules) {
      const broken = rule(value);
      if (broken !== undefined) return broken;
    }
    return undefined;
  };
}

function formatRule({ format, max_bytes: maxBytes }: Rules): ValueRule | undefined {
  if (format === undefined) return undefined;
  const most = format === "bytes" ? (maxBytes ?? DEFAULT_FIELD_BYTES) : Infinity;
  return textRule((text) => {
    // A text that is far too long is not decoded.
    if (format === "bytes" && decodedBytes(text) > most)
      return {
        reason: `has more than ${most} bytes`,
        hint: "Store larger content in a file: see docs/files.md.",
      };
    if (isOfFormat(format, text)) return undefined;
    return { reason: `is ${describeValue(text)}, not ${FORMAT_WANTED[format]}` };
  });
}

function enumRule({ enum: values }: Rules): ValueRule | undefined {
  if (values === undefined) return undefined;
  const known = new Set(values);
  return textRule((text) => {
    if (known.has(text)) return undefined;
    const meant = nearest(text, values);
    return {
      reason: `is ${describeValue(text)}, not one of ${shownValues(values)}`,
      hint: meant === undefined ? undefined : `Did you mean "${meant}"?`,
    };
  });
}

const MAX_SHOWN_VALUES = 20;

function shownValues(values: readonly string[]): string {
  const shown = values.slice(0, MAX_SHOWN_VALUES).map((value) => describeValue(value));
  return `${shown.join(", ")}${values.length > MAX_SHOWN_VALUES ? ", ..." : ""}`;
}

function limitRule({ min = -Infinity, max = Infinity }: Rules): ValueRule | undefined {
  if (min === -Infinity && max === Infinity) return undefined;
  return (value) => {
    if (typeof value === "number") {
      if (value < min) return { reason: `is ${value}, but must be at least ${min}` };
      return value > max ? { reason: `is ${value}, but must be at most ${max}` } : undefined;
    }
    if (typeof value !== "string") return undefined;
    const characters = charactersOf(value, max);
    if (characters >= min && characters <= max) return undefined;
    return { reason: `must have ${wantedCount(min, max)}` };
  };
}

function digitsRule({ type, precision = 0, scale = 0 }: Rules): ValueRule | undefined {
  if (type !== "decimal") return undefined;
  return textRule((decimal) => {
    const [whole = "", fraction = ""] = decimal.replace("-", "").split(".");
    const digits = whole === "0" ? 0 : whole.length;
    if (fraction.length <= scale && digits <= precision - scale) return undefined;
    return {
      reason:
        `is ${decimal}, but may have at most ${precision - scale} digits before the point ` +
        `and ${scale} after it`,
      hint: fraction.length > scale ? "Round the value." : undefined,
    };
  });
}

/** For a decimal, which is stored as text. */
function rangeRule({ min = -Infinity, max = Infinity }: Rules): ValueRule | undefined {
  const [least, most] = [normaliseDecimal(min), normaliseDecimal(max)];
  if (least === undefined && most === undefined) return undefined;
  return textRule((decimal) => {
    if (least !== undefined && compareDecimals(decimal, least) < 0)
      return { reason: `is ${decimal}, but must be at least ${least}` };
    return most !== undefined && compareDecimals(decimal, most) > 0
      ? { reason: `is ${decimal}, but must be at most ${most}` }
      : undefined;
  });
}

function wantedCount(min: number, max: number): string {
  if (min === max) return `exactly ${counted(min)}`;
  return min === -Infinity || max !== Infinity
    ? min === -Infinity
      ? `at most ${counted(max)}`
      : `${min} to ${counted(max)}`
    : `at least ${counted(min)}`;
}

function counted(count: number): string {
  return `${count} ${count === 1 ? "character" : "characters"}`;
}

/**
 * Counts code points, as people count letters; for a text that is too long anyway, its UTF-16
 * units.
 */
function charactersOf(text: string, max: number): number {
  // A code point has at most two units.
  if (text.length > 2 * max) return text.length;
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function patternRule(field: Rules): ValueRule | undefined {
  if (field.pattern === undefined) return undefined;
  const expression = new RegExp(field.pattern, field.pattern_flags);
  return textRule((text) => {
    // Matching a long text can take long, and would block the event loop.
    if (text.length > MAX_PATTERN_TEXT)
      return {
        reason: `must have at most ${MAX_PATTERN_TEXT} characters, because it has a pattern`,
      };
    if (expression.test(text)) return undefined;
    return { reason: `is ${describeValue(text)}, which does not match ${String(expression)}` };
  });
}

function textRule(rule: (text: string) => BrokenRule | undefined): ValueRule {
  return (value) => (typeof value === "string" ? rule(value) : undefined);
}
