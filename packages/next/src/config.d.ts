import type { NextConfig } from "next";

/**
 * Lets Next.js compile Pylon's packages, which are shipped as TypeScript.
 *
 * @example
 * export default withPylon({ reactStrictMode: true });
 */
export declare function withPylon(config?: NextConfig): NextConfig;
