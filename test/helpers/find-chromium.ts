import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

// Chrome where systems put it for which npm brings none.
const INSTALLED = [
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

const run = promisify(execFile);

/**
 * Where a Chromium is that runs here. The one in @sparticuz/chromium (Linux, x64), whatever the machine has besides, so that
 * tests mean the same everywhere; an installed one on other systems; ELFIN_CHROMIUM before both.
 */
export async function findChromium(): Promise<string | undefined> {
  const { ELFIN_CHROMIUM } = process.env;
  // Who names one means that one.
  if (ELFIN_CHROMIUM) return (await starts(ELFIN_CHROMIUM)) ? ELFIN_CHROMIUM : undefined;
  if (process.platform === 'linux' && process.arch === 'x64') {
    const unpacked = await unpack();
    return unpacked && (await starts(unpacked)) ? unpacked : undefined;
  }
  for (const path of INSTALLED) if (existsSync(path) && (await starts(path))) return path;
  return undefined;
}

// Windows has no console for a windowed program to answer to.
const starts = (path: string): Promise<boolean> =>
  process.platform === 'win32'
    ? Promise.resolve(existsSync(path))
    : run(path, ['--version'], { timeout: 60_000 }).then(
        () => true,
        () => false,
      );

async function unpack(): Promise<string | undefined> {
  const { default: packed } = await import('@sparticuz/chromium');
  return packed.executablePath().catch(() => undefined);
}
