import { type Browser, chromium } from 'playwright-core';
import { findChromium } from './find-chromium.ts';

const FLAGS = ['--no-sandbox'];
// WebGPU on the CPU by SwiftShader: slow, but a real device.
const WEBGPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--ignore-gpu-blocklist',
];

const PATIENCE = 170_000;

/** Starts the Chromium that {@link findChromium} finds; `webgpu: false` makes it one of a machine without a GPU. */
export async function launchChromium({ webgpu = true } = {}): Promise<Browser> {
  const executablePath = await findChromium();
  if (!executablePath) throw new Error('No Chromium runs here; set ELFIN_CHROMIUM to one.');
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: [...FLAGS, ...(webgpu ? WEBGPU : [])],
  });
  const { newContext } = browser;
  browser.newContext = async (options) => {
    const context = await newContext.call(browser, options);
    // The test's own timeout decides; half a minute is too little for a first load on a busy machine.
    context.setDefaultTimeout(PATIENCE);
    return context;
  };
  return browser;
}
