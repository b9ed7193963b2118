export * from "./expr.ts";
