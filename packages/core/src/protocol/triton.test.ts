import { expect, test } from 'vitest';
import { tritonConfig } from './triton.ts';

const image = { name: 'image', type: 'uint8', shape: ['N', 'H', 'W', 3] } as const;
const restored = { ...image, name: 'restored' };
const statistics = { name: 'statistics', type: 'float32', shape: [1, 14688] } as const;
const name = 'derain-lw-start-0123456789ab.uint8';

test('a batching model: the batch axis is Triton’s, the queue is bounded, requests may set their own patience', () => {
  expect(tritonConfig({ name, inputs: [image], outputs: [restored], maxBatch: 4 })).toBe(`name: "${name}"
backend: "onnxruntime"
default_model_filename: "model.onnx"
max_batch_size: 4
input {
  name: "image"
  data_type: TYPE_UINT8
  dims: [ -1, -1, 3 ]
}
output {
  name: "restored"
  data_type: TYPE_UINT8
  dims: [ -1, -1, 3 ]
}
dynamic_batching {
  max_queue_delay_microseconds: 2000
  priority_levels: 3
  default_priority_level: 2
  default_queue_policy {
    timeout_action: REJECT
    default_timeout_microseconds: 60000000
    allow_timeout_override: true
    max_queue_size: 256
  }
}
instance_group {
  kind: KIND_AUTO
  count: 1
}
`);
});

test('one image’s statistics have no batch axis, so such a graph is served tile by tile', () => {
  const config = tritonConfig({ name, inputs: [image, statistics], outputs: [restored] });
  expect(config).toContain('max_batch_size: 0');
  expect(config).toContain('dims: [ 1, 14688 ]');
  expect(config).not.toContain('dynamic_batching');
  expect(() => tritonConfig({ name, inputs: [statistics], outputs: [restored], maxBatch: 4 })).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID' }),
  );
});

test('TensorRT and the device are options', () => {
  const config = tritonConfig({
    name,
    inputs: [image],
    outputs: [restored],
    device: 'gpu',
    instances: 2,
    tensorrt: 'fp16',
  });
  expect(config).toContain('kind: KIND_GPU\n  count: 2');
  expect(config.replaceAll(/\s+/g, ' ')).toContain(
    'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } } } }',
  );
});
