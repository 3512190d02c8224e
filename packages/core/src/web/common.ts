// What the page and its worker have in common, so that the build makes one file of it: see browser.build.ts.
import '../base/bytes.ts';
import '../base/data-url.ts';
import '../base/errors.ts';
import '../base/lazy-import.ts';
import '../base/sha256.ts';
import '../base/tensor.ts';
import '../image/codec.ts';
import '../image/limits.ts';
import '../image/pixels.ts';
import '../model/manifest.ts';
import '../model/models.ts';
import '../restore/input.ts';
import './bitmap.ts';
import './wire.ts';
