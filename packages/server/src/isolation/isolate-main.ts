/** Runs handlers in this process: `bun isolate-main.ts SOCKET NAME`. */
import { serveFunctions } from "./serve-functions.ts";

const [, , path = "", name = ""] = process.argv;
void serveFunctions(path, name);
