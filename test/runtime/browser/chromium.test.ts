import { expect, test } from 'vitest';
import { launchChromium } from '../../helpers/chromium.ts';
import { findChromium } from '../../helpers/find-chromium.ts';

// Where this is skipped, vitest.config.ts leaves the other tests of this folder out: one skip, counted once, which CI refuses.
test.skipIf((await findChromium()) === undefined)(
  'browser tests have a Chromium: ELFIN_CHROMIUM, @sparticuz/chromium, or an installed one',
  async () => {
    const browser = await launchChromium();
    expect(browser.version()).toMatch(/^\d+\./);
    await browser.close();
  },
);
