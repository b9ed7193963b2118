/**
 * The function to which a client subscribes to follow an aggregate: `{ function: LIVE_AGGREGATE,
 * args: { entity, spec } }`. Its results have the form of `POST /api/aggregate/ENTITY`. Functions
 * of an app can't have this name.
 */
export const LIVE_AGGREGATE = "$aggregate";
/** The same for a search, with the results of `POST /api/search/ENTITY`. */
export const LIVE_SEARCH = "$search";
