/** A style sheet for a bundler; it has no exports. */
export {};
