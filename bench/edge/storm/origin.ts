import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An origin on loopback that stalls, breaks off, hangs up and fails, so often each. */
export async function startOrigin(sources: readonly Uint8Array[], next: () => number) {
  const faults = { failed: 0, stalled: 0, brokenOff: 0, hungUp: 0 };
  const server = createServer((request, response) => {
    const bytes = sources[Number(request.url?.slice(1))];
    const luck = next();
    if (!bytes) response.writeHead(404).end();
    else if (luck < 0.03) {
      faults.failed += 1;
      response.writeHead(500).end();
    } else if (luck < 0.05) {
      // Longer than the edge waits.
      faults.stalled += 1;
      response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 50));
    } else if (luck < 0.07) {
      // Without a length half an image looks whole to HTTP.
      faults.brokenOff += 1;
      response.writeHead(200).end(bytes.subarray(0, bytes.length / 2));
    } else if (luck < 0.09) {
      faults.hungUp += 1;
      request.socket.destroy();
    } else if (request.headers['if-none-match'] === '"1"') response.writeHead(304, { etag: '"1"' }).end();
    else response.writeHead(200, { etag: '"1"', 'content-length': bytes.length }).end(bytes);
  });
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    async stop() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
