import type { NextConfig } from "next";

/**
 * Configures Next.js to compile Pylon's packages, which are published as TypeScript.
 *
 * @example
 * export default withPylon({ reactStrictMode: true });
 */
export declare function withPylon(config?: NextConfig): NextConfig;
