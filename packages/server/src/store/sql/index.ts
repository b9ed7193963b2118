export {
  compileAggregate,
  compileCount,
  compileDelete,
  compileSearchPage,
  compileSelect,
  compileTest,
  TOTAL,
} from "./compile-select.ts";
export { postgres, sqlite, type Dialect } from "./dialect.ts";
