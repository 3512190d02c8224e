declare module 'cloudflare:test' {
  /** Bindings of the local runtime, as vitest.config.ts names them. */
  export const env: Readonly<Record<string, unknown>>;
}
