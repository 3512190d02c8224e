/** `@elfin/core/remote`: the network run elsewhere, and the protocol by which it is asked, for clients and servers alike. */
export * from '../protocol/graph-name.ts';
export * from '../protocol/open-inference.ts';
export * from '../protocol/read-bounded.ts';
export * from '../protocol/triton.ts';
export type { Endpoints, EndpointsOptions } from '../runtime/remote/endpoints.ts';
export * from '../runtime/remote/remote.ts';
export * from '../runtime/remote/whole-image.ts';
