import {
  anyOf,
  isCount,
  isString,
  isUnknown,
  mapOf,
  objectOf,
  oneOf,
  type Guard,
  type IncludeQuery,
} from "@pylonsync/protocol";

const isFields = mapOf(isUnknown);

const isInclude: Guard<IncludeQuery> = objectOf(
  {},
  {
    where: isFields,
    order: isUnknown,
    limit: isCount,
    include: mapOf((value): value is IncludeQuery => isInclude(value)),
  },
);

/** A request of another tab of this browser, in the form of a request to the server. */
export const isTabRequest = anyOf(
  objectOf({ type: oneOf("subscribe"), id: isCount, function: isString }, { args: isFields }),
  objectOf(
    { type: oneOf("subscribe"), id: isCount, entity: isString },
    { where: isFields, order: isUnknown, limit: isCount, include: mapOf(isInclude) },
  ),
  objectOf({ type: oneOf("unsubscribe"), id: isCount }),
);

/** A check whether the server still responds. */
export const isPing = objectOf({ type: oneOf("ping") });
