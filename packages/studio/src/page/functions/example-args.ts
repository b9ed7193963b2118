/** A validator of arguments, as `GET /api/fn` describes it. */
export interface ArgSchema {
  readonly type: string;
  readonly optional?: boolean;
  readonly inner?: ArgSchema;
  readonly items?: ArgSchema;
  readonly fields?: Readonly<Record<string, ArgSchema>>;
  readonly variants?: readonly ArgSchema[];
  readonly value?: unknown;
}

/** Levels of nested arguments of which an example is given. */
const MAX_DEPTH = 4;

/** Returns arguments of the right types, for a person to edit; optional ones are left out. */
export function exampleArgs(
  schema: Readonly<Record<string, ArgSchema>>,
  depth = MAX_DEPTH,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schema).flatMap(([name, arg]) =>
      arg.type === "optional" || arg.optional === true ? [] : [[name, exampleOf(arg, depth)]],
    ),
  );
}

function exampleOf(arg: ArgSchema, depth: number): unknown {
  switch (arg.type) {
    case "int":
    case "float":
    case "number":
      return 0;
    case "bool":
    case "boolean":
      return false;
    case "datetime":
      return "2030-01-01T00:00:00.000Z";
    case "array":
      return [];
    case "record":
    case "json":
    case "any":
      return {};
    case "object":
      return depth > 0 ? exampleArgs(arg.fields ?? {}, depth - 1) : {};
    case "literal":
      return arg.value;
    case "union": {
      const [first] = arg.variants ?? [];
      return first === undefined || depth === 0 ? null : exampleOf(first, depth - 1);
    }
    default:
      return "";
  }
}
