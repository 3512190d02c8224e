/** Modules are also loaded where no page is: on servers that render pages. */
const Base: typeof HTMLElement = globalThis.HTMLElement ?? class {};

/** Attributes of the picture's own, which the picture inside takes over as they are. */
export const PICTURE_ATTRIBUTES = ['sizes', 'srcset', 'src', 'alt', 'decoding', 'fetchpriority', 'referrerpolicy'];

/** Attributes that say how to restore: another value, another result. */
export const RESTORE_ATTRIBUTES = ['task', 'strength', 'model'];

/** The attributes of `<elfin-image>` as properties, reflected the way HTML reflects its own. */
export abstract class ElfinImageAttributes extends Base {
  static readonly observedAttributes: readonly string[] = [
    ...PICTURE_ATTRIBUTES,
    ...RESTORE_ATTRIBUTES,
    ...['crossorigin', 'loading', 'width', 'height', 'compare'],
  ];

  /** Address of the picture; read, it is absolute. */
  get src(): string {
    return absolute(this.getAttribute('src'));
  }
  set src(value: string) {
    this.setAttribute('src', value);
  }

  /** Candidates by width or density, as `<img>` has them. */
  get srcset(): string {
    return this.getAttribute('srcset') ?? '';
  }
  set srcset(value: string) {
    this.setAttribute('srcset', value);
  }

  /** Widths at which the picture is shown, as `<img>` has them. */
  get sizes(): string {
    return this.getAttribute('sizes') ?? '';
  }
  set sizes(value: string) {
    this.setAttribute('sizes', value);
  }

  /** What is to be seen, for those who do not see it. */
  get alt(): string {
    return this.getAttribute('alt') ?? '';
  }
  set alt(value: string) {
    this.setAttribute('alt', value);
  }

  /** `lazy`: neither fetched nor restored before it is near the viewport. */
  get loading(): 'eager' | 'lazy' {
    return this.getAttribute('loading')?.toLowerCase() === 'lazy' ? 'lazy' : 'eager';
  }
  set loading(value: 'eager' | 'lazy') {
    this.setAttribute('loading', value);
  }

  /** `use-credentials` sends cookies to the picture's site; anything else asks without them. */
  get crossOrigin(): string | null {
    const value = this.getAttribute('crossorigin')?.toLowerCase();
    return value === undefined ? null : value === 'use-credentials' ? value : 'anonymous';
  }
  set crossOrigin(value: string | null) {
    if (value === null) this.removeAttribute('crossorigin');
    else this.setAttribute('crossorigin', value);
  }

  /** `derain`, `lowlight`, `underwater`, or `auto` (default), which leaves alone what needs nothing. */
  get task(): string {
    return this.getAttribute('task') || 'auto';
  }
  set task(value: string) {
    this.setAttribute('task', value);
  }

  /** How much of the result is mixed in, 0…1; 1 by default. */
  get strength(): number {
    return Number(this.getAttribute('strength') ?? 1);
  }
  set strength(value: number) {
    this.setAttribute('strength', String(value));
  }

  /** `lw` (default) or `full`. */
  get model(): string {
    return this.getAttribute('model') || 'lw';
  }
  set model(value: string) {
    this.setAttribute('model', value);
  }

  /** Whether a handle parts before from after. */
  get compare(): boolean {
    return this.hasAttribute('compare');
  }
  set compare(value: boolean) {
    this.toggleAttribute('compare', value);
  }

  /** CSS pixels; with `height` it reserves room before anything is fetched. Read, it is the width as laid out. */
  get width(): number {
    return this.offsetWidth || wholeNumber(this.getAttribute('width'));
  }
  set width(value: number) {
    this.setAttribute('width', String(value));
  }

  /** CSS pixels; see `width`. */
  get height(): number {
    return this.offsetHeight || wholeNumber(this.getAttribute('height'));
  }
  set height(value: number) {
    this.setAttribute('height', String(value));
  }
}

function absolute(value: string | null): string {
  if (value === null) return '';
  try {
    return new URL(value, document.baseURI).href;
  } catch {
    return value;
  }
}

/** As HTML reads dimensions: leading digits, else nothing. */
export function wholeNumber(value: string | null): number {
  return Number.parseInt(/^\s*\d+/.exec(value ?? '')?.[0] ?? '0', 10);
}
