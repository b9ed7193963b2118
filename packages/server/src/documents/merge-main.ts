/** Merges documents: `bun merge-main.ts`. */
import { serveMerges } from "./serve-merges.ts";

void serveMerges();
