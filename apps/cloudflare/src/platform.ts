import { ElfinError, type Models } from '@elfin/core';
import {
  createJsquashCodec,
  createModelRef,
  createRestorer,
  createWorkerdRuntime,
  parseManifest,
} from '@elfin/core/workerd';
import derain from '@elfin/models/derain-lw/manifest.json' with { type: 'json' };
import derainWeights from '@elfin/models/derain-lw/weights.safetensors';
import lowlight from '@elfin/models/lowlight-lw/manifest.json' with { type: 'json' };
import lowlightWeights from '@elfin/models/lowlight-lw/weights.safetensors';
import underwater from '@elfin/models/underwater-lw/manifest.json' with { type: 'json' };
import underwaterWeights from '@elfin/models/underwater-lw/weights.safetensors';
import jpegDecode from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import jpegEncode from '@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm';
import png from '@jsquash/png/codec/pkg/squoosh_png_bg.wasm';
import webpDecode from '@jsquash/webp/codec/dec/webp_dec.wasm';
import webpEncode from '@jsquash/webp/codec/enc/webp_enc_simd.wasm';
import ort from 'onnxruntime-web/ort-wasm-simd-threaded.wasm';

/** The codecs, compiled when the Worker was uploaded. */
export const codec = createJsquashCodec({ modules: { jpegDecode, jpegEncode, png, webpDecode, webpEncode } });

/** Another model takes two imports and one line here; each adds its weights to the Worker's size. */
const BUNDLED: ReadonlyMap<string, readonly [manifest: object, weights: ArrayBuffer]> = new Map([
  ['derain-lw', [derain, derainWeights]],
  ['lowlight-lw', [lowlight, lowlightWeights]],
  ['underwater-lw', [underwater, underwaterWeights]],
]);

export const models: Models = {
  async resolve(task, size) {
    const name = `${task}-${size}`;
    const found = BUNDLED.get(name);
    if (!found) throw new ElfinError('MODEL_UNKNOWN', `The model ${name} is not bundled with this Worker.`);
    const [manifest, weights] = found;
    return createModelRef(parseManifest(JSON.stringify(manifest), name), async () => new Uint8Array(weights));
  },
};

/** The network in this isolate, set up when the first small image needs it. */
export const restorer = createRestorer({ models, runtime: createWorkerdRuntime({ wasm: ort }), codec });

/** Largest image restored in an isolate, measured: one tile, some seconds of one core. bench/README.md. */
export const RESTORE_PIXELS = 65_536;
