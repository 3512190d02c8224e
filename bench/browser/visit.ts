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

/** How a page fared meanwhile: tasks of over 50 ms on its thread, and milliseconds from frame to frame. */
export interface Smoothness {
  readonly long: readonly number[];
  readonly gaps: readonly number[];
}

/** What every page here has: `watch()` begins to look, what it returns ends that and tells. */
export interface Watching {
  watch(): () => Smoothness;
}

const WATCH = `
  window.watch = () => {
    const [long, gaps] = [[], []];
    const note = (entries) => { for (const { duration } of entries) long.push(duration); };
    const observer = new PerformanceObserver((list) => note(list.getEntries()));
    observer.observe({ type: 'longtask' });
    let last;
    let on = true;
    const frame = (now) => {
      if (last !== undefined) gaps.push(now - last);
      last = now;
      if (on) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    return () => {
      on = false;
      note(observer.takeRecords());
      observer.disconnect();
      return { long, gaps };
    };
  };`;

/** One line about it. */
export function describe({ long, gaps }: Smoothness): string {
  const tasks = long.length === 0 ? 'none' : long.map((ms) => `${ms.toFixed(0)} ms`).join(', ');
  // A frame at 60 Hz takes 16.7 ms; one that comes after 25 has left another out.
  const late = gaps.filter((ms) => ms > 25).length;
  const longest = Math.max(0, ...gaps).toFixed(0);
  return `long tasks on the page's thread: ${tasks}; ${late} of ${gaps.length} frames late, the longest gap ${longest} ms`;
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
    const html = `<!doctype html><title>Bench</title><script>${WATCH}</script><script type="module">${script}</script>`;
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
