// Set at build time: a digest of the page, and the files of the SDK's worker.
declare const BUILD: string;
declare const PARTS: readonly string[];

const NAME = `elfin-demo-${BUILD}`;
const PAGE = [
  './',
  'app.js',
  'style.css',
  'icon.svg',
  'samples/rain.jpg',
  'samples/night.jpg',
  'samples/sea.jpg',
  'before-after.jpg',
  'manifest.webmanifest',
  ...PARTS,
];

const scope = globalThis as unknown as {
  addEventListener(type: string, listener: (event: never) => void): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  location: Location;
};
interface Lasting {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Lasting {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

scope.addEventListener('install', (event: Lasting) => {
  event.waitUntil(
    caches
      .open(NAME)
      .then((cache) => cache.addAll(PAGE))
      .then(() => scope.skipWaiting()),
  );
});

scope.addEventListener('activate', (event: Lasting) => {
  const clean = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith('elfin-demo-') && name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
    await scope.clients.claim();
  };
  event.waitUntil(clean());
});

// What was fetched once is there without a network; the weights have a cache of their own, which the SDK checks.
scope.addEventListener('fetch', (event: Fetching) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== scope.location.origin || url.pathname.endsWith('.safetensors')) return;
  event.respondWith(answer(request));
});

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(NAME);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone()).catch(() => {});
  return response;
}
