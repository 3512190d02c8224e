import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

// Chrome and Chromium where systems put them.
const INSTALLED = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/opt/google/chrome/chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

// WebGPU on the CPU by SwiftShader: slow, but a real device.
const FLAGS = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--ignore-gpu-blocklist',
];

/** Starts Chromium: ELFIN_CHROMIUM, an installed one, or the one in @sparticuz/chromium (Linux, x64). */
export async function launchChromium(): Promise<Browser> {
  const { ELFIN_CHROMIUM } = process.env;
  const executablePath = ELFIN_CHROMIUM ?? INSTALLED.find((path) => existsSync(path)) ?? (await unpack());
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}

async function unpack(): Promise<string> {
  const { default: packed } = await import('@sparticuz/chromium');
  return packed.executablePath();
}
