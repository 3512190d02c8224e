import type { Metadata, MetadataPolicy } from '../codec.ts';
import { upright } from './exif.ts';
import { readRights, writeRights } from './rights.ts';
import { currentXmp } from './xmp.ts';

/**
 * What of a source's metadata is written again. `none`: nothing. `copyright`: creator, notice, credit, owner, terms and
 * licence, out of EXIF, XMP and IPTC, in EXIF and XMP of our own: no place, no time, no camera. `keep`: everything but
 * orientation, thumbnail, pixel sides, and what speaks of a video, a gain map or a signed history that the result has not. The ICC profile is no matter of this policy: it belongs to the pixels.
 */
export function applyPolicy(metadata: Metadata | undefined, policy: MetadataPolicy): Metadata {
  if (!metadata || policy === 'none') return {};
  if (policy === 'copyright') return writeRights(readRights(metadata));
  const exif = metadata.exif && upright(metadata.exif);
  return {
    ...(exif && { exif }),
    ...(metadata.xmp && { xmp: currentXmp(metadata.xmp) }),
    ...(metadata.iptc && { iptc: metadata.iptc }),
    ...(metadata.density !== undefined && { density: metadata.density }),
  };
}
