import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Codec } from '@elfin/core';
import { createJsquashCodec } from '@elfin/core/workerd';

const require = createRequire(new URL('../../packages/core/package.json', import.meta.url));
/** One of the builds, compiled. */
export const wasm = async (name: string, path: string) =>
  new WebAssembly.Module(
    await readFile(join(dirname(require.resolve(`@jsquash/${name}/package.json`)), 'codec', path)),
  );
/** The isolate's codec in Node: its packages fetch their builds, which Node cannot. */
export const openJsquash = async (): Promise<Codec> =>
  createJsquashCodec({
    modules: {
      jpegDecode: await wasm('jpeg', 'dec/mozjpeg_dec.wasm'),
      jpegEncode: await wasm('jpeg', 'enc/mozjpeg_enc.wasm'),
      png: await wasm('png', 'pkg/squoosh_png_bg.wasm'),
      webpDecode: await wasm('webp', 'dec/webp_dec.wasm'),
      webpEncode: await wasm('webp', 'enc/webp_enc_simd.wasm'),
      avifDecode: await wasm('avif', 'dec/avif_dec.wasm'),
      avifEncode: await wasm('avif', 'enc/avif_enc.wasm'),
    },
  });
