import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError, EXIT } from "../output.ts";
import { SHAPES, type Shape } from "./targets.ts";

const CONFIG = "sst.config.ts";

/**
 * The characteristics of a shape's config, written by this version or an earlier one. The first
 * match decides: `shards` has a cache as `redis` does, and all but `efs` a database.
 */
const TRAITS: readonly (readonly [Shape, RegExp])[] = [
  ["efs", /\bcreateVolume\(/],
  ["shards", /\bcreateService\(["']Shards["']/],
  ["nat-less", /\bcreateNetwork\(["']endpoints["']\)/],
  ["redis", /\bcreateCache\(/],
  ["default", /\bcreateDatabase\(/],
];

/** The shape of a deployment, and the previous one if it changes. */
export interface ChosenShape {
  /** Null: the app's config has an unknown shape, and is kept. */
  readonly shape: Shape | null;
  /** The shape that it replaces; null: none, or the same. */
  readonly from: Shape | "another" | null;
}

interface Choice {
  /** The value of `--shape`. */
  readonly given: string | undefined;
  readonly force: boolean;
  readonly stage: string | undefined;
}

/**
 * Chooses the shape of a deployment by SST: the given one, otherwise that of the app.
 *
 * @param dirs where a config may be, first the one that is written to
 * @throws CommandError DEPLOY_INVALID_SHAPE, DEPLOY_OTHER_SHAPE: nothing was written or run
 */
export function chooseShape(dirs: readonly string[], { given, force, stage }: Choice): ChosenShape {
  const wanted = given === undefined ? undefined : SHAPES.find((known) => known === given);
  if (given !== undefined && wanted === undefined)
    throw new CommandError(
      "DEPLOY_INVALID_SHAPE",
      `Unknown shape "${given}": use ${SHAPES.join(", ")}.`,
      EXIT.USAGE,
    );
  const file = dirs.map((dir) => join(dir, CONFIG)).find((path) => existsSync(path));
  if (file === undefined) return { shape: wanted ?? "default", from: null };
  const there = shapeOf(readFileSync(file, "utf8"));
  if (wanted === undefined || wanted === there) return { shape: there, from: null };
  const from = there ?? "another";
  const what =
    there === null
      ? `${CONFIG} matches none of the shapes that this version knows`
      : `${CONFIG} has the shape ${there}`;
  if (stage !== undefined) {
    throw new CommandError(
      "DEPLOY_OTHER_SHAPE",
      `${what}, and --shape is ${wanted}: nothing was written or deployed. Without --shape ` +
        `the one that is there is deployed. ${consequence(from, wanted)} To change it, write ` +
        `it first by \`pylon deploy --target sst --shape ${wanted} --force\`, look at it, and ` +
        "deploy it then.",
    );
  }
  if (!force)
    throw new CommandError(
      "DEPLOY_OTHER_SHAPE",
      `${what}, and --shape is ${wanted}: nothing was written. --force writes the other ` +
        `one, and keeps copies of what was there. ${consequence(from, wanted)}`,
    );
  return { shape: wanted, from };
}

/** The consequence for the data of a stage that gets another shape. */
export function consequence(from: Shape | "another", to: Shape): string {
  if (from !== "another" && (from === "efs") === (to === "efs"))
    return "Both use the same database: check `npx sst diff --stage STAGE` before you deploy.";
  return (
    "The new shape starts with an EMPTY database and no files; in a stage other than production " +
    "the old ones are deleted. Back up first, and transfer the data yourself."
  );
}

/** Null: an unknown shape. */
function shapeOf(config: string): Shape | null {
  const code = config.replaceAll(/\/\/.*$/gm, "");
  const found = TRAITS.filter(([, trait]) => trait.test(code)).map(([shape]) => shape);
  if (found.includes("efs") && found.includes("default")) return null;
  return found[0] ?? null;
}
