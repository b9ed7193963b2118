export { compileAggregate, compileCount, compileDelete, compileSelect, compileTest } from "./compile-select.ts";
export { sqlite, type Dialect } from "./dialect.ts";
