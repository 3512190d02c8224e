/** Decides whether a tenant may ask now; resolves to the seconds to wait where not. */
export type RateLimit = (tenant: string) => number | undefined | Promise<number | undefined>;

/**
 * A token bucket a tenant, in this process: `burst` at once, `perSecond` in the long run. The least recently seen
 * tenants are forgotten, whole, beyond `tenants` of them.
 */
export function createRateLimit(options: {
  readonly perSecond: number;
  readonly burst: number;
  readonly tenants?: number;
  readonly now?: () => number;
}): RateLimit {
  const { perSecond, burst, tenants = 10_000, now = Date.now } = options;
  const buckets = new Map<string, { level: number; at: number }>();
  return (tenant) => {
    const time = now();
    const bucket = buckets.get(tenant) ?? { level: burst, at: time };
    const level = Math.min(burst, bucket.level + ((time - bucket.at) / 1000) * perSecond);
    buckets.delete(tenant);
    buckets.set(tenant, { level: level >= 1 ? level - 1 : level, at: time });
    if (buckets.size > tenants) buckets.delete(buckets.keys().next().value as string);
    return level >= 1 ? undefined : (1 - level) / perSecond;
  };
}
