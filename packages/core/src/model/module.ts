import type { Scope } from '../graph/graph.ts';
import type { ElfConfig } from './elf.ts';
import type { Lowering } from './lowering.ts';
import type { Statistics } from './statistics.ts';

/** What all blocks of one network share. */
export interface ModuleContext {
  readonly config: ElfConfig;
  readonly lowering: Lowering;
  readonly statistics: Statistics;
}

/** A place in the network together with what its blocks share. */
export interface Module extends Scope, ModuleContext {
  at(part: string): Module;
}

/** A scope that knows the configuration, the lowering and the statistics. */
export function createModule(scope: Scope, context: ModuleContext): Module {
  return { ...scope, ...context, at: (part) => createModule(scope.at(part), context) };
}
