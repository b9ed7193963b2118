// Rows that only members of a group may read, with 1,000 of them connected: row inserts a second,
// against the same server with nobody connected.
import { join } from "node:path";
import { openSocketsOf } from "./lib/crowd.ts";
import { load } from "./lib/load.ts";
