import type { Entity } from "./entity.ts";

/** The fields that the plugins of an app add to its entities, by entity: one for each plugin. */
export type AddsOf<D> = D extends { readonly plugins: readonly (infer P)[] }
  ? P extends unknown
    ? Named<P extends { readonly fields: infer A } ? A : never> | Named<Carried<P>>
    : never
  : never;
type Carried<P> = P extends { readonly __adds?: infer A } ? A : never;
/** Without types that could add a field to any entity, because they do not name one. */
type Named<A> = A extends object ? (string extends keyof A ? never : A) : never;
type AddedTo<N, A> = A extends unknown
  ? (N extends keyof A ? A[N] : never) | ("*" extends keyof A ? A["*"] : never)
  : never;
type Merged<U> = (U extends unknown ? (one: U) => void : never) extends (all: infer I) => void
  ? I
  : never;
/** An entity with added fields. A field that it declares itself stays as it is. */
export type WithAdded<E, A> =
  E extends Entity<infer N, infer F, infer R>
    ? [AddedTo<N, A>] extends [never]
      ? E
      : Entity<N, F & Omit<Merged<AddedTo<N, A>>, keyof F>, R>
    : never;
