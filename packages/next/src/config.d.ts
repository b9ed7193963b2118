import type { NextConfig } from "next";

/** Lets Next compile Pylon's packages, which are shipped as TypeScript. */
export declare function withPylon(config?: NextConfig): NextConfig;
