/** A style sheet, which a bundler takes in: there is nothing to import from it. */
export {};
