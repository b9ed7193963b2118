/**
 * Plugins that integrate external services.
 *
 * @module
 */
export { stripe, type StripeOptions } from "./stripe.ts";
