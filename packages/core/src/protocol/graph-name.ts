import type { SessionOptions } from '../runtime/runtime.ts';

/** Which of a model's graphs a served name stands for. */
export interface GraphVariant extends Pick<SessionOptions, 'io' | 'statistics' | 'quadrants'> {
  /** The model's name with its digest; see {@link import('../model/models.ts').ModelRef}. */
  readonly model: string;
}

/**
 * The name under which a server offers one graph of a model: `<model>.<io>[.statistics][.quadrants]`, the suffixes standing
 * for `given`. The digest in the model's name makes a server with other weights answer 404 instead of other pixels.
 */
export function graphName({ model, io, statistics, quadrants }: GraphVariant): string {
  return `${model}.${io}${statistics === 'given' ? '.statistics' : ''}${quadrants === 'given' ? '.quadrants' : ''}`;
}
