// Plain JavaScript: Next reads its configuration before it compiles any TypeScript of a package.

/** The packages that are shipped as TypeScript. */
const PACKAGES = [
  "@pylonsync/next",
  "@pylonsync/react",
  "@pylonsync/sync",
  "@pylonsync/sdk",
  "@pylonsync/functions",
  "@pylonsync/protocol",
  "@pylonsync/query",
];

/**
 * Lets Next compile Pylon's packages.
 *
 * @param {import("next").NextConfig} [config]
 * @returns {import("next").NextConfig}
 * @example
 * export default withPylon({ reactStrictMode: true });
 */
export function withPylon(config = {}) {
  return {
    ...config,
    transpilePackages: [...new Set([...PACKAGES, ...(config.transpilePackages ?? [])])],
  };
}
