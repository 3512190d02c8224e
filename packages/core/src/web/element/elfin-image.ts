import { type ElfinError, isElfinError } from '../../base/errors.ts';
import type { ModelSize } from '../../model/models.ts';
import type { RestoreOptions } from '../../restore/options.ts';
import type { RestoreReport } from '../../restore/report.ts';
import { guarded } from '../bitmap.ts';
import type { WebRestorer } from '../page/restorer.ts';
import { ElfinImageAttributes, PICTURE_ATTRIBUTES, RESTORE_ATTRIBUTES, wholeNumber } from './attributes.ts';
import { type Compare, createCompare } from './compare.ts';
import type { ElfinImageEventMap, ElfinImageState } from './events.ts';
import { follow, loaded } from './follow.ts';
import { coverPicture } from './overlay.ts';
import { nearView } from './queue.ts';
import { COMPARE_STYLE, HOST_STYLE, sheetOf } from './style.ts';

/** A picture as it is to be restored, and what shows it. */
interface Stage {
  readonly picture: HTMLImageElement;
  readonly view: Compare;
  /** The picture stands in the page, not in this element's shadow. */
  readonly slotted: boolean;
  readonly leave: () => void;
}

/**
 * `<elfin-image src alt>` shows a picture and restores it: an `<img>` with more to it. Instead of `src` it may hold an `<img>` or a
 * `<picture>`, which then stays where it is laid out, and is what shows without JavaScript.
 */
export class ElfinImageElement extends ElfinImageAttributes {
  /** Restores the pictures of all elements that have none of their own. */
  static restorer: WebRestorer | undefined;

  readonly #internals = this.attachInternals();
  readonly #slot = document.createElement('slot');
  readonly #size = new CSSStyleSheet();
  #restorer: WebRestorer | undefined;
  #stage: Stage | undefined;
  #state: ElfinImageState = 'idle';
  #report: RestoreReport | undefined;
  #error: ElfinError | undefined;
  #stop: AbortController | undefined;
  /** What is being restored or has been: the same again is nothing to do. */
  #work = '';
  #due = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheetOf(COMPARE_STYLE), sheetOf(HOST_STYLE), this.#size];
    root.append(this.#slot);
    this.#slot.addEventListener('slotchange', () => this.#update());
  }

  override addEventListener<K extends keyof ElfinImageEventMap>(
    type: K,
    listener: (event: ElfinImageEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null | ((event: never) => unknown),
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener as EventListener, options);
  }

  /** Restores this element's picture; the shared one by default. */
  get restorer(): WebRestorer | undefined {
    return this.#restorer ?? ElfinImageElement.restorer;
  }
  set restorer(value: WebRestorer | undefined) {
    this.#restorer = value;
    this.#update();
  }

  get state(): ElfinImageState {
    return this.#state;
  }

  /** What was done; undefined before. */
  get report(): RestoreReport | undefined {
    return this.#report;
  }

  /** Why there is no result, in the state `failed`. */
  get error(): ElfinError | undefined {
    return this.#error;
  }

  /** What the browser has chosen out of `srcset`, or of the `<picture>` inside. */
  get currentSrc(): string {
    return this.#stage?.picture.currentSrc ?? '';
  }
  get naturalWidth(): number {
    return this.#stage?.picture.naturalWidth ?? 0;
  }
  get naturalHeight(): number {
    return this.#stage?.picture.naturalHeight ?? 0;
  }

  /** Whether nothing goes on any more: restored, left alone, failed, or without a picture. */
  get complete(): boolean {
    return ['idle', 'restored', 'untouched', 'failed'].includes(this.#state);
  }

  /** Restores the picture again, for example after a failure of the network. */
  restore(): void {
    this.#work = '';
    this.#update();
  }

  /** Ends the work under way; the picture stays as it is until something changes or {@link restore} is called. */
  stop(): void {
    this.#stop?.abort();
    if (this.complete) return;
    this.#stage?.view.begin(1, 1);
    this.#enter('idle');
  }

  connectedCallback(): void {
    // Set before the element was defined: hidden by no accessor, and heard by none.
    for (const name of ['restorer', ...Object.keys(Object.getOwnPropertyDescriptors(ElfinImageAttributes.prototype))]) {
      if (!Object.hasOwn(this, name)) continue;
      const value = Reflect.get(this, name);
      Reflect.deleteProperty(this, name);
      Reflect.set(this, name, value);
    }
    this.#update();
  }

  /** Moved by `moveBefore`: nothing to do. */
  connectedMoveCallback(): void {}

  disconnectedCallback(): void {
    this.#update();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return;
    if (name === 'width' || name === 'height') this.#reserve();
    else if (name === 'compare') {
      if (this.#stage) this.#stage.view.handle = this.compare;
    } else {
      if (PICTURE_ATTRIBUTES.includes(name)) copyAttribute(this, this.#own, name);
      this.#update();
    }
  }

  get #own(): HTMLImageElement | undefined {
    return this.#stage?.slotted === false ? this.#stage.picture : undefined;
  }

  /** Looks once, behind everything that is done to the element in one go: moves and several attributes are one change. */
  #update(): void {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.#look();
    });
  }

  #look(): void {
    const { restorer } = this;
    const stage = this.isConnected ? this.#stageFor() : undefined;
    if (!stage || !restorer) {
      // Who comes back with the work done has nothing to do over again.
      if (this.isConnected || !this.complete) this.#work = '';
      this.stop();
      return;
    }
    const work = this.#workOf(stage);
    if (work === this.#work) return;
    this.#work = work;
    void this.#run(stage, restorer);
  }

  /** All that decides the result. */
  #workOf({ picture, slotted }: Stage): string {
    const names = [...RESTORE_ATTRIBUTES, ...(slotted ? [] : ['src', 'srcset', 'sizes', 'crossorigin'])];
    return JSON.stringify([...names.map((name) => this.getAttribute(name)), picture.currentSrc]);
  }

  /** The picture has been loaded: as was expected, or because the page or the browser has chosen another. */
  #loaded(stage: Stage): void {
    if (this.#state === 'loading' || this.#state === 'waiting') this.#work = this.#workOf(stage);
    else this.#update();
  }

  /** The stage for the picture of one's own, or for that of the page inside; the same again as long as it fits. */
  #stageFor(): Stage | undefined {
    const own = this.hasAttribute('src') || this.hasAttribute('srcset');
    const inside = own ? null : this.querySelector<HTMLImageElement>(':scope > img, :scope > picture > img');
    const now = this.#stage;
    if (now && (own ? !now.slotted : now.picture === inside)) return now;
    now?.leave();
    this.#stage = own ? this.#build() : inside ? this.#cover(inside) : undefined;
    this.#reserve();
    return this.#stage;
  }

  #build(): Stage {
    const picture = new Image();
    picture.alt = this.alt;
    picture.setAttribute('part', 'image');
    const view = createCompare(picture, { handle: this.compare });
    this.#slot.style.display = 'none';
    this.shadowRoot!.append(view.root);
    return this.#heard({ picture, view, slotted: false, leave: () => view.root.remove() });
  }

  #cover(picture: HTMLImageElement): Stage {
    const view = createCompare(undefined, { handle: this.compare });
    this.#slot.style.display = 'contents';
    const { anchor, follow: keep } = coverPicture(picture, view, this.parentElement);
    anchor.setAttribute('exportparts', 'canvas, handle, divider, status');
    this.shadowRoot!.append(anchor);
    const forget = keep();
    const leave = () => {
      forget();
      anchor.remove();
    };
    return this.#heard({ picture, view, slotted: true, leave });
  }

  #heard(stage: Stage): Stage {
    const { picture, leave } = stage;
    const listener = () => this.#loaded(stage);
    picture.addEventListener('load', listener);
    return {
      ...stage,
      leave() {
        picture.removeEventListener('load', listener);
        leave();
      },
    };
  }

  async #run(stage: Stage, restorer: WebRestorer): Promise<void> {
    this.#stop?.abort();
    const stop = new AbortController();
    this.#stop = stop;
    const { signal } = stop;
    const { picture, view, slotted } = stage;
    this.#error = this.#report = undefined;
    view.begin(1, 1);
    try {
      const lazy = this.loading === 'lazy' || (slotted && picture.loading === 'lazy');
      if (lazy) {
        this.#enter('waiting');
        await nearView(slotted ? picture : this, signal);
      }
      this.#enter('loading');
      if (!slotted) await this.#fetch(picture, signal);
      const result = await follow(view, picture, {
        ...this.#options(),
        restorer,
        signal,
        onStep: (step) => {
          this.#work = this.#workOf(stage);
          this.#enter(step);
        },
        onProgress: (progress) => this.#fire('elfin-progress', progress),
      });
      this.#report = result.report;
      this.#enter(result.report.task === 'none' ? 'untouched' : 'restored');
      this.#fire('elfin-done', result);
    } catch (error) {
      if (signal.aborted || !isElfinError(error)) return;
      view.fail(error.message);
      this.#error = error;
      this.#enter('failed');
      this.#fire('elfin-error', error);
    }
  }

  #options(): RestoreOptions {
    const { task, strength, model } = this;
    return { task: task as RestoreOptions['task'], strength, model: model as ModelSize };
  }

  /**
   * Loads the element's own picture so that it may be read; where another site does not allow that, so that it is at least seen.
   * Errors: INPUT_UNREADABLE, ABORTED.
   */
  async #fetch(picture: HTMLImageElement, signal: AbortSignal): Promise<void> {
    const asking = this.crossOrigin ?? 'anonymous';
    if (picture.crossOrigin !== asking) picture.crossOrigin = asking;
    for (const name of PICTURE_ATTRIBUTES) copyAttribute(this, picture, name);
    const fire = (type: 'load' | 'error') => this.dispatchEvent(new Event(type));
    try {
      await loaded(picture, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      picture.crossOrigin = null;
      for (const name of ['srcset', 'src']) copyAttribute(this, picture, name);
      const visible = await loaded(picture, signal).then(
        () => true,
        () => false,
      );
      if (signal.aborted) throw error;
      fire(visible ? 'load' : 'error');
      throw visible ? guarded(error) : error;
    }
    fire('load');
    this.#reserve();
  }

  /** Room as `<img width height>` reserves it: below every rule of the page's own. */
  #reserve(): void {
    const [width, height] = ['width', 'height'].map((name) => wholeNumber(this.getAttribute(name)));
    const picture = this.#stage?.picture;
    const ratio =
      this.naturalWidth > 0 ? `${picture!.naturalWidth} / ${picture!.naturalHeight}` : `${width} / ${height}`;
    const rules = [
      ...(this.hasAttribute('width') ? [`width: ${width}px`] : []),
      ...(this.hasAttribute('height') ? [`height: ${height}px`] : []),
      ...(width && height ? [`aspect-ratio: ${ratio}`] : []),
    ];
    // A picture of the page has its own box, beside which this element has none.
    this.#size.replaceSync(`:host { ${this.#stage?.slotted ? 'display: contents' : rules.join('; ')} }`);
  }

  #enter(state: ElfinImageState): void {
    if (state === this.#state) return;
    this.#states('delete', this.#state);
    this.#state = state;
    this.#states('add', state);
    this.#internals.ariaBusy = String(!this.complete);
    this.#fire('elfin-statechange', { state });
  }

  #states(change: 'add' | 'delete', state: string): void {
    try {
      this.#internals.states[change](state);
    } catch {
      // Browsers of before 2024 take names that begin with two dashes only.
    }
  }

  #fire<K extends keyof ElfinImageEventMap>(type: K, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'elfin-image': ElfinImageElement;
  }
}

function copyAttribute(from: Element, to: Element | undefined, name: string): void {
  const value = from.getAttribute(name);
  if (to === undefined || to.getAttribute(name) === value) return;
  if (value === null) to.removeAttribute(name);
  else to.setAttribute(name, value);
}

/**
 * Defines `<elfin-image>`. All elements of a page share `restorer`, with it one worker, and are restored one at a time, the one
 * nearest to the viewport first. Called again under the same name, it only changes the restorer that is shared.
 * @example
 * ```ts
 * import { defineElfinImage } from '@elfin/core/element';
 * import { createRestorer, fetchModels } from '@elfin/core/web';
 *
 * defineElfinImage(createRestorer({ models: fetchModels('/elfin/models') }));
 * ```
 */
export function defineElfinImage(restorer: WebRestorer, name = 'elfin-image'): void {
  ElfinImageElement.restorer = restorer;
  if (customElements.get(name)) return;
  // A class has one name only.
  customElements.define(name, name === 'elfin-image' ? ElfinImageElement : class extends ElfinImageElement {});
}
