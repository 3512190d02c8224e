import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nameIn, pairWithTargets } from './pairs.ts';

const album = (folder: string, names: readonly string[]) => ({
  folder,
  files: names.map((name) => join(folder, name)),
});
const pairs = (inputs: readonly string[], targets: readonly string[]) =>
  [...pairWithTargets(album('in', inputs), album('to', targets))].map(([input, target]) => [
    input.replaceAll('\\', '/'),
    target.replaceAll('\\', '/'),
  ]);

test('names are paths below the folder', () => {
  expect(nameIn('in', join('in', 'a', 'rain.1.jpg'))).toBe('a/rain.1');
});

test.each([
  ['by path, whatever the extension', ['a/1.jpg', 'b/1.jpg'], ['a/1.png', 'b/1.png'], ['a/1.png', 'b/1.png']],
  ['by name where the targets lie flat', ['a/1.jpg', 'b/2.jpg'], ['1.png', '2.png'], ['1.png', '2.png']],
  ['by name where the inputs lie flat', ['1.jpg', '2.jpg'], ['a/1.png', 'b/2.png'], ['a/1.png', 'b/2.png']],
  ['never from another folder', ['a/1.jpg', 'b/1.jpg'], ['a/1.png', 'c/1.png'], ['a/1.png']],
  ['duplicates that nobody asks for', ['1.jpg'], ['1.png', '2.jpg', '2.png'], ['1.png']],
])('%s', (_, inputs, targets, found) => {
  expect(pairs(inputs, targets)).toEqual(found.map((target, index) => [`in/${inputs[index]}`, `to/${target}`]));
});

test.each([
  ['two targets of one path', ['1.jpg'], ['1.jpg', '1.png'], /target of in.1\.jpg may be to.1\.jpg or to.1\.png/],
  ['two targets of one name', ['1.jpg'], ['a/1.png', 'b/1.png'], /may be to.a.1\.png or to.b.1\.png/],
  ['two inputs of one name', ['a/1.jpg', 'b/1.jpg'], ['1.png'], /in.a.1\.jpg and in.b.1\.jpg would both/],
  ['two inputs of one path', ['1.jpg', '1.png'], ['1.png'], /in.1\.jpg and in.1\.png would both/],
])('%s are refused', (_, inputs, targets, told) => {
  expect(() => pairs(inputs, targets)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  expect(() => pairs(inputs, targets)).toThrow(told);
});
