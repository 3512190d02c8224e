import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../../helpers/chromium.ts';
import { serveElementRows } from '../../helpers/element/site.ts';

type Found = { readonly is: unknown; readonly due: unknown };
type Rows = Readonly<Record<string, () => Promise<Found>>>;
declare global {
  interface Window {
    rows: Rows;
  }
}

let browser: Browser;
let site: Awaited<ReturnType<typeof serveElementRows>>;
let page: Page;

beforeAll(async () => {
  [browser, site] = await Promise.all([launchChromium({ webgpu: false }), serveElementRows()]);
  page = await browser.newPage({ viewport: { width: 800, height: 600 } });
  await page.goto(site.url);
  await page.waitForFunction(() => window.rows);
});
afterAll(async () => {
  await browser?.close();
  await site?.[Symbol.asyncDispose]();
});

test('<elfin-image> beside <img>: every row holds', async () => {
  const names = await page.evaluate(() => Object.keys(window.rows));
  const found: Record<string, unknown> = {};
  const due: Record<string, unknown> = {};
  for (const name of names) {
    const row = await page.evaluate(
      (key) =>
        Promise.race([
          window.rows[key]!(),
          new Promise<Found>((resolve) => setTimeout(() => resolve({ is: 'no end in 60 s', due: 'an end' }), 60_000)),
        ]),
      name,
    );
    found[name] = row.is;
    due[name] = row.due;
  }
  expect(names.length).toBeGreaterThan(25);
  expect(found).toEqual(due);
  // Some fifty small restorations, on whatever else the machine has to do.
}, 600_000);
