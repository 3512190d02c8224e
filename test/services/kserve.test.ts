import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { python } from './helpers/python.ts';

const script = fileURLToPath(new URL('./kserve/validate.py', import.meta.url));
const docs = new URL('../../docs/deploy-gpu.md', import.meta.url);
let interpreter: string;
let manifest: string;

beforeAll(async () => {
  interpreter = await python('kserve', ['kubernetes', 'pyyaml', 'six'], ['kserve==0.21.0']);
  manifest = /```yaml\n(apiVersion: serving\.kserve\.io[\s\S]*?)```/.exec(await readFile(docs, 'utf8'))?.[1] ?? '';
});

async function faults(yaml: string): Promise<string[]> {
  const child = spawn(interpreter, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(yaml);
  return JSON.parse(await text(child.stdout)) as string[];
}

test('the InferenceService of the docs is one, by KServe’s own types', async () => {
  expect(manifest).toContain('kind: InferenceService');
  expect(await faults(manifest)).toEqual([]);
});

test.each([
  [/scaleMetric/, 'scaleMetrics', '.spec.predictor.scaleMetrics: unknown to V1beta1PredictorSpec'],
  [/maxReplicas: \d+/, 'maxReplicas: many', ".spec.predictor.maxReplicas: 'many' is not int"],
  [
    /modelFormat:\n\s+name: triton\n\s+version: "2"\n\s+/,
    '',
    '.spec.predictor.model: Invalid value for `model_format`, must not be `None`',
  ],
])('%s spoilt is found', async (what, instead, fault) => {
  expect(await faults(manifest.replace(what, instead))).toEqual([expect.stringContaining(fault)]);
});
