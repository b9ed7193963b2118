/** The sections of Studio. */
export const SECTIONS = ["functions", "jobs", "workflows", "logs", "schema"] as const;
/** A section without a page for each entity. */
export type Section = (typeof SECTIONS)[number];

/** The place in Studio that the address names after `#`. */
export type Route =
  | { readonly section: "home" }
  | {
      readonly section: "data";
      readonly entity: string;
      /** The conditions of the list, the order and the open row. */
      readonly query: URLSearchParams;
    }
  | { readonly section: Section; readonly name: string | null };

/** Reads a route from the part of the address after `#`; an unknown one is the home page. */
export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [first = "", second = ""] = path.split("/").map(decoded);
  if (first === "data" && second !== "")
    return { section: "data", entity: second, query: new URLSearchParams(search) };
  const section = SECTIONS.find((name) => name === first);
  if (section === undefined) return { section: "home" };
  return { section, name: second === "" ? null : second };
}

/** Returns the address of a route, for links. */
export function hrefOf(route: Route): string {
  switch (route.section) {
    case "home":
      return "#/";
    case "data": {
      const search = route.query.toString();
      return `#/data/${encodeURIComponent(route.entity)}${search === "" ? "" : `?${search}`}`;
    }
    default:
      return `#/${route.section}${route.name === null ? "" : `/${encodeURIComponent(route.name)}`}`;
  }
}

/** Returns the address of one row. */
export function rowHref(entity: string, id: string): string {
  return hrefOf({ section: "data", entity, query: new URLSearchParams({ row: id }) });
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
