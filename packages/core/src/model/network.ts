/**
 * From weights to a graph, and what a graph's sums hold: all that defines the network. Imported when the first model is opened,
 * so that bundlers can make it a file of its own: it is a third of what a page's worker consists of.
 */

export { readSafetensors } from '../weights/safetensors.ts';
export { loadStateDict } from '../weights/state-dict.ts';
export { parametersOf, statisticsOf } from './describe.ts';
export { emitElf } from './emit.ts';
export { configOf } from './presets.ts';
