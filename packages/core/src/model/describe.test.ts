import { describe, expect, test } from 'vitest';
import { describeElf } from './describe.ts';
import { PRESETS } from './manifest.ts';
import { CONFIGS } from './presets.ts';

describe.each(PRESETS)('%s', (preset) => {
  const elf = describeElf(preset);

  test('the bill by block adds up', () => {
    const sum = (part: 'parameters' | 'convolutionMacs' | 'attentionMacs') =>
      elf.blocks.reduce((total, block) => total + block[part], 0);
    expect(sum('parameters')).toBe(elf.stored);
    expect(sum('convolutionMacs')).toBe(elf.convolutionMacs);
    expect(sum('attentionMacs')).toBe(elf.attentionMacs);
    expect(elf.blocks.map(({ block }) => block)).toContain('dsnet.orsnet');
  });

  test('operators: what the paper counts is there', () => {
    const { blocks } = CONFIGS[preset];
    // Two ORBs and two lone blocks, and the MAM's own attention; a softmax each.
    expect(elf.operators.Softmax).toBe(2 * blocks + 3);
    expect(elf.operators.DepthToSpace).toBe(1);
    const counts = Object.values(elf.operators);
    expect(counts).toEqual(counts.toSorted((a, b) => b - a));
  });

  test('statistics lie one after another, 41 channel attentions and an attention a transformer block', () => {
    let offset = 0;
    for (const slot of elf.statistics) {
      expect(slot.offset).toBe(offset);
      offset += slot.length;
    }
    expect(offset).toBe(elf.statisticsLength);
    const { channels, blocks, heads } = CONFIGS[preset];
    const of = (kind: string) => elf.statistics.filter((slot) => slot.kind === kind);
    expect(of('sum').length).toBe(41);
    expect(of('sum').every(({ length }) => length === channels)).toBe(true);
    for (const kind of ['gram', 'square-q', 'square-k']) expect(of(kind).length).toBe(2 * blocks + 3);
    expect(of('gram').find(({ block }) => block.startsWith('dsnet.orsnet'))!.length).toBe(channels ** 2 / heads);
    expect(of('gram').every(({ level }) => level === 0)).toBe(true);
    expect(new Set(of('sum').map(({ level }) => level))).toEqual(new Set([0, 1, 2, 3]));
  });
});
