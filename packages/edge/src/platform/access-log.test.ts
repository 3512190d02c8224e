import { expect, test } from 'vitest';
import type { AccessEntry } from '../http/log.ts';
import { createAccessLog } from './access-log.ts';

const entry: AccessEntry = {
  id: 'a',
  trace: '4bf92f3577b34da6a3ce929d0e0e4736',
  method: 'GET',
  path: '/i/restore=derain/x\n200 GET /forged',
  status: 502,
  task: 'derain',
  source: 'https://origin.example/x',
  cache: 'none',
  ms: 1203,
  spans: { queue: 900, fetch: 12 },
  error: { code: 'NETWORK_FAILED', message: 'http://10.0.0.7:8000 hung up.', cause: 'ECONNRESET' },
};

test('a request is one line, of JSON or for people, with what the caller was not told', () => {
  const lines: string[] = [];
  createAccessLog('json', (line) => lines.push(line))(entry);
  createAccessLog('text', (line) => lines.push(line))(entry);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'error', ...entry });
  expect(lines[1]).toMatch(
    / error 502 GET \/i\/restore=derain\/x\?200 GET \/forged 1203ms cache=none task=derain queue=900 fetch=12 NETWORK_FAILED: http:\/\/10\.0\.0\.7:8000 hung up\. \(ECONNRESET\) id=a\n$/,
  );
  expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
});
