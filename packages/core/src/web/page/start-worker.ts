import { ElfinError } from '../../base/errors.ts';

/** Starts the worker that restores. Errors: RUNTIME_UNAVAILABLE where the browser does not let this page have it. */
export function startWorker(assets: string | undefined): Worker {
  const options = { type: 'module', name: 'elfin' } as const;
  // Written out in exactly this form: bundlers look for it.
  if (assets === undefined)
    return new Worker(new URL('./web-worker.js', import.meta.url), { type: 'module', name: 'elfin' });
  const url = new URL('web-worker.js', assets);
  if (url.origin === location.origin) return new Worker(url, options);
  // Workers must be of the page's origin; what they import need not.
  const text = `import ${JSON.stringify(url.href)};`;
  return new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })), options);
}

/** Starts a worker by `make`; `failure` tells why it did not come up, as far as the browser says so. */
export function watchStart(make: () => Worker) {
  const blocked: string[] = [];
  const listener = ({ effectiveDirective }: SecurityPolicyViolationEvent) => blocked.push(effectiveDirective);
  const name = 'securitypolicyviolation';
  addEventListener(name, listener);
  const failure = async (cause: unknown): Promise<ElfinError> => {
    const words = await import('./start-failure.ts').then(
      // A policy's violation is told a task later than the error that it makes.
      ({ explainStart }) => explainStart(cause, blocked),
      () => '',
    );
    return new ElfinError('RUNTIME_UNAVAILABLE', `The worker cannot be loaded${words}`, { cause });
  };
  let worker: Worker | undefined;
  let refused: unknown;
  try {
    worker = make();
  } catch (cause) {
    refused = cause;
  }
  return { worker, refused, failure, end: () => removeEventListener(name, listener) };
}
