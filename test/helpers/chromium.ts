import { type Browser, chromium } from 'playwright-core';
import { findChromium } from './find-chromium.ts';

// WebGPU on the CPU by SwiftShader: slow, but a real device.
const FLAGS = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--ignore-gpu-blocklist',
];

/** Starts the Chromium that {@link findChromium} finds. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = await findChromium();
  if (!executablePath) throw new Error('No Chromium runs here; set ELFIN_CHROMIUM to one.');
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}
