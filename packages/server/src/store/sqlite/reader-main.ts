/** Runs a reader process: `bun reader-main.ts PATH`. */
import { serveReads } from "./reader-process.ts";

serveReads(process.argv[2] ?? "");
