export {
  compileAggregate,
  compileCount,
  compileDelete,
  compileSelect,
  compileTest,
} from "./compile-select.ts";
export { postgres, sqlite, type Dialect } from "./dialect.ts";
