import { ElfinError } from '@elfin/core';
import { readBounded } from '@elfin/core/remote';

export interface BodyReaderOptions {
  /** Most bytes of all bodies held at once. */
  readonly maxBytes: number;
  /** Milliseconds in which a body must have arrived. */
  readonly bodyMs: number;
}

/** Bodies within one budget: what is being read, and what is read and not yet worked off. */
export interface BodyReader {
  /**
   * Reads a body and gives it to `work`; its bytes count until that is done. Errors: IMAGE_TOO_MANY_BYTES, BODY_TIMEOUT,
   * REMOTE_BUSY where the budget is used up, and those of `work`.
   */
  use<T>(request: Request, limit: number, work: (bytes: Uint8Array<ArrayBuffer>) => T | Promise<T>): Promise<T>;
}

export function createBodyReader({ maxBytes, bodyMs }: BodyReaderOptions): BodyReader {
  let held = 0;
  return {
    async use(request, limit, work) {
      const tooLong = new ElfinError('IMAGE_TOO_MANY_BYTES', `The body has more than the ${limit} bytes allowed.`);
      if (Number(request.headers.get('content-length')) > limit) throw tooLong;
      let taken = 0;
      let over = false;
      const take = (length: number) => {
        // What still comes after the time is up is nobody's to give back; the throw ends the reading.
        if (over) throw new ElfinError('BODY_TIMEOUT', 'The body went on after its time was up.');
        if (held + length > maxBytes)
          throw new ElfinError('REMOTE_BUSY', 'Too many bodies are in hand; try again in 1 s or elsewhere.', {
            data: { retryAfter: 1 },
          });
        held += length;
        taken += length;
      };
      let clock: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        const error = new ElfinError('BODY_TIMEOUT', `The body did not arrive within ${bodyMs} ms.`);
        clock = setTimeout(() => reject(error), bodyMs);
      });
      try {
        const bytes = await Promise.race([readBounded(request.body, limit, take), late]);
        clearTimeout(clock);
        if (!bytes) throw tooLong;
        return await work(bytes);
      } finally {
        clearTimeout(clock);
        over = true;
        held -= taken;
      }
    },
  };
}
