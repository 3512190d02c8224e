import { ElfinError, type Models } from '@elfin/core';
import {
  createJsquashCodec,
  createModelRef,
  createRestorer,
  createWorkerdRuntime,
  parseManifest,
} from '@elfin/core/workerd';
import manifest from '@elfin/models/derain-lw/manifest.json' with { type: 'json' };
import weights from '@elfin/models/derain-lw/weights.safetensors';
import jpegDecode from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import jpegEncode from '@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm';
import png from '@jsquash/png/codec/pkg/squoosh_png_bg.wasm';
import webpDecode from '@jsquash/webp/codec/dec/webp_dec.wasm';
import webpEncode from '@jsquash/webp/codec/enc/webp_enc_simd.wasm';
import ort from 'onnxruntime-web/ort-wasm-simd-threaded.wasm';

/** The codecs, compiled when the Worker was uploaded. */
export const codec = createJsquashCodec({ modules: { jpegDecode, jpegEncode, png, webpDecode, webpEncode } });

/** The models that were bundled; more are added by two imports and one line. */
export const models: Models = {
  async resolve(task, size) {
    if (task === 'derain' && size === 'lw') {
      return createModelRef(parseManifest(JSON.stringify(manifest), 'derain-lw'), async () => new Uint8Array(weights));
    }
    throw new ElfinError('MODEL_UNKNOWN', `The model ${task}-${size} is not bundled with this Worker.`);
  },
};

/** The network in this isolate, set up when the first small image needs it. */
export const restorer = createRestorer({ models, runtime: createWorkerdRuntime({ wasm: ort }), codec });

/** Largest image restored in an isolate, measured: one tile, some seconds of one core. bench/README.md. */
export const RESTORE_PIXELS = 65_536;
