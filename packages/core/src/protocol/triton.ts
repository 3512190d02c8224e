import { ElfinError } from '../base/errors.ts';
import type { Port } from '../model/emit.ts';
import { DATATYPES } from './open-inference.ts';

export interface TritonOptions {
  /** The served name; see `graphName`. */
  readonly name: string;
  /** The emitted graph's border. */
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Most tiles in one run; 0 switches batching off. Default 8, or 0 where an input has no batch axis. */
  readonly maxBatch?: number;
  /** Microseconds that a tile waits for others of its shape. Default 2000. */
  readonly maxQueueDelay?: number;
  /** Tiles waiting before new ones are refused. Default 256. */
  readonly maxQueue?: number;
  /** `auto` leaves the choice to Triton: a GPU where there is one. Default `auto`. */
  readonly device?: 'auto' | 'gpu' | 'cpu';
  /** Copies of the model a device. Default 1. */
  readonly instances?: number;
  /** Lets ONNX Runtime hand the graph to TensorRT: minutes at the first start for each shape, faster afterwards. */
  readonly tensorrt?: 'fp16' | 'fp32';
}

/** Milliseconds of patience by default; requests may set their own, which `allow_timeout_override` lets them. */
const QUEUE_TIMEOUT_MICROSECONDS = 60_000_000;

type Field = readonly [name: string, value: string | number | boolean | Field[] | readonly Field[][]];

/** A bounded queue that rejects what waited too long, three priorities (1 first). */
function batching(options: TritonOptions): Field {
  return [
    'dynamic_batching',
    [
      ['max_queue_delay_microseconds', options.maxQueueDelay ?? 2000],
      ['priority_levels', 3],
      ['default_priority_level', 2],
      [
        'default_queue_policy',
        [
          ['timeout_action', 'REJECT'],
          ['default_timeout_microseconds', QUEUE_TIMEOUT_MICROSECONDS],
          ['allow_timeout_override', true],
          ['max_queue_size', options.maxQueue ?? 256],
        ],
      ],
    ],
  ];
}

/**
 * `config.pbtxt` of a Triton model repository, in protobuf's text form, for ONNX Runtime's backend: dynamic batching with a
 * bounded queue that rejects what waited too long, three priorities (1 first), one instance a device.
 * Errors: OPTION_INVALID for a batch size that the graph cannot take.
 * Source: https://github.com/triton-inference-server/common, protobuf/model_config.proto.
 */
export function tritonConfig(options: TritonOptions): string {
  const { name, inputs, outputs, instances = 1, device = 'auto', tensorrt } = options;
  const batched = [...inputs, ...outputs].every(({ shape }) => shape[0] === 'N');
  const maxBatch = options.maxBatch ?? (batched ? 8 : 0);
  if (maxBatch > 0 && !batched)
    throw new ElfinError(
      'OPTION_INVALID',
      `${name} has an input without a batch axis (statistics of one image): its batch size is 0.`,
    );

  const port = ({ name: portName, type, shape }: Port): Field[] => [
    ['name', quote(portName)],
    ['data_type', `TYPE_${DATATYPES[type]}`],
    [
      'dims',
      `[ ${(maxBatch > 0 ? shape.slice(1) : shape).map((side) => (typeof side === 'number' ? side : -1)).join(', ')} ]`,
    ],
  ];
  const fields: Field[] = [
    ['name', quote(name)],
    ['backend', quote('onnxruntime')],
    ['default_model_filename', quote('model.onnx')],
    ['max_batch_size', maxBatch],
    ...inputs.map((input): Field => ['input', port(input)]),
    ...outputs.map((output): Field => ['output', port(output)]),
  ];
  if (maxBatch > 0) fields.push(batching(options));
  fields.push([
    'instance_group',
    [
      ['kind', `KIND_${device.toUpperCase()}`],
      ['count', instances],
    ],
  ]);
  if (tensorrt)
    fields.push([
      'optimization',
      [
        [
          'execution_accelerators',
          [
            [
              'gpu_execution_accelerator',
              [['name', quote('tensorrt')], parameter('precision_mode', tensorrt.toUpperCase())],
            ],
          ],
        ],
      ],
    ]);
  return `${text(fields, '')}\n`;
}

function parameter(key: string, value: string): Field {
  return [
    'parameters',
    [
      ['key', quote(key)],
      ['value', quote(value)],
    ],
  ];
}

function text(fields: readonly Field[], indent: string): string {
  return fields
    .map(([name, value]) =>
      Array.isArray(value)
        ? `${indent}${name} {\n${text(value as Field[], `${indent}  `)}\n${indent}}`
        : `${indent}${name}: ${value}`,
    )
    .join('\n');
}

function quote(value: string): string {
  return JSON.stringify(value);
}
