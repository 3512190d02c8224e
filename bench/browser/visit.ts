import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import type { Folders } from '../../apps/demo/static.ts';
import { launchChromium } from '../../test/helpers/chromium.ts';
import { serveSite } from '../../test/helpers/site.ts';

export interface Visited<T> {
  readonly value: T;
  /** Bodies that the server sent. */
  readonly bytes: number;
  /** Most resident memory of the page's process, its workers included, and of the GPU's. */
  readonly memory: { readonly renderer: number; readonly gpu: number };
}

/** A Chromium of its own that visits `/` of these folders, runs `work` there, and is closed. */
export async function visit<T>(
  folders: Folders,
  script: string,
  work: (page: Page) => Promise<T>,
): Promise<Visited<T>> {
  let bytes = 0;
  await using site = await serveSite(folders);
  site.handler = (_, response, path) => {
    response.once('finish', () => {
      bytes += Number(response.getHeader('content-length') ?? 0);
    });
    if (path !== '/') return false;
    const html = `<!doctype html><title>Bench</title><script type="module">${script}</script>`;
    response.writeHead(200, { 'content-type': 'text/html', 'content-length': html.length }).end(html);
    return true;
  };
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(site.url);
    await page.waitForFunction(() => 'ready' in window);
    const value = await work(page);
    const cdp = await browser.newBrowserCDPSession();
    const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
    const peak = async (type: string) =>
      Math.max(
        0,
        ...(await Promise.all(processInfo.filter((one) => one.type === type).map(({ id }) => highWater(id)))),
      );
    return { value, bytes, memory: { renderer: await peak('renderer'), gpu: await peak('GPU') } };
  } finally {
    await browser.close();
  }
}

/** Linux tells it; elsewhere it is NaN. */
async function highWater(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

/** The middle one; of an even number the larger of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
