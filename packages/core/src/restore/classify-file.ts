import { checkNames } from '../base/check.ts';
import { ElfinError } from '../base/errors.ts';
import type { Header } from '../image/codec.ts';

import { openPicture, spaceOf } from '../image/picture.ts';
import { decodeToFile } from '../image/raw-file.ts';
import type { Warning } from '../image/warnings.ts';
import { type RestoreEngine, thumbnailOf } from './engine.ts';
import type { Classification, Classify, RestoreOptions } from './options.ts';

/** How a picture is looked at: as in `RestoreOptions`. */
export interface ClassifyOptions
  extends Pick<RestoreOptions, 'limits' | 'animated' | 'strict' | 'signal' | 'deadline'> {
  /** Where temporary files go; the system's folder by default. */
  readonly directory?: string | undefined;
}

/** What a classifier says of an encoded image. */
export interface Classified {
  readonly classification: Classification;
  readonly header: Header;
  readonly warnings: readonly Warning[];
}

const NAMES = ['limits', 'animated', 'strict', 'signal', 'deadline', 'directory'] as const;

/** What `auto` would go by, in the restorer's turn and in the memory of a window: no network runs. */
export async function classifyThroughFiles(
  engine: RestoreEngine,
  classify: Classify | undefined,
  read: (options: ClassifyOptions) => Promise<Uint8Array>,
  options: ClassifyOptions,
): Promise<Classified> {
  checkNames('classify', options, NAMES);
  if (!classify) throw new ElfinError('OPTION_INVALID', 'This restorer has no classifier; make it with one.');
  return engine.withSlot(options, async (signal) => {
    const { limits, animated, strict, directory } = options;
    const given = await read({ ...options, signal });
    const folder = directory === undefined ? {} : { directory };
    await using raw = await decodeToFile(given, {
      signal,
      ...folder,
      ...(limits && { limits }),
      ...(animated && { animated }),
      strict,
    });
    const picture = await openPicture(raw, { space: spaceOf(raw.metadata, raw.header.grey), icc: undefined, signal });
    const classification = await classify(await thumbnailOf(picture.source, signal));
    return { classification, header: raw.header, warnings: raw.warnings };
  });
}
