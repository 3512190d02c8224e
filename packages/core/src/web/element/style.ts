/** The look of {@link createCompare}'s overlay; custom properties, all optional, change it from outside. */
export const COMPARE_STYLE = `
.elfin { position: relative; display: block; width: 100%; height: 100%; line-height: 0; overflow: hidden; overflow: clip; border-radius: inherit; object-fit: inherit; object-position: inherit; --s: max(2.75rem, var(--elfin-handle-size, 2.25rem)); }
.elfin > img { display: block; width: 100%; height: 100%; object-fit: inherit; object-position: inherit; border-radius: inherit; }
.elfin > canvas { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: inherit; object-position: inherit; border-radius: inherit; clip-path: inset(0 0 0 var(--split, 0%)); pointer-events: none; }
.elfin > input { position: absolute; inset: 0 auto auto calc(var(--s) / -2); width: calc(100% + var(--s)); height: 100%; margin: 0; padding: 0; appearance: none; background: none; opacity: 0; pointer-events: none; touch-action: none; }
.elfin > input::-webkit-slider-runnable-track { height: 100%; }
.elfin > input::-webkit-slider-thumb { appearance: none; width: var(--s); height: 100%; pointer-events: auto; cursor: ew-resize; }
.elfin > input::-moz-range-track { height: 100%; }
.elfin > input::-moz-range-thumb { width: var(--s); height: 100%; border: 0; pointer-events: auto; cursor: ew-resize; }
.elfin > i { position: absolute; inset: 0 auto 0 var(--split, 0%); width: var(--elfin-divider-width, 2px); translate: -50%; background: var(--elfin-handle-background, #fff); box-shadow: 0 0 0 1px #0006; pointer-events: none; }
.elfin > i::after { content: '⇆'; position: absolute; top: 50%; left: 50%; width: var(--elfin-handle-size, 2.25rem); height: var(--elfin-handle-size, 2.25rem); border-radius: 50%; background: var(--elfin-handle-background, #fff); color: var(--elfin-handle-color, #111); font: 1rem/var(--elfin-handle-size, 2.25rem) system-ui; text-align: center; translate: -50% -50%; box-shadow: 0 1px 6px #0008; }
.elfin > input:focus-visible ~ i::after { outline: 3px solid var(--elfin-focus-color, #2563eb); outline-offset: 2px; }
.elfin > [hidden], .elfin > input[hidden] ~ i { display: none; }
.elfin > div { position: absolute; inset: 0; container-type: size; pointer-events: none; }
.elfin > div > p { position: absolute; inset: auto 0.5rem 0.5rem auto; box-sizing: border-box; max-width: calc(100% - 1rem); max-height: calc(100% - 1rem); margin: 0; padding: 0.25rem 0.6rem; overflow: hidden auto; border-radius: 0.9rem; background: var(--elfin-status-background, #111d); color: var(--elfin-status-color, #fff); font: 0.8rem/1.4 system-ui; overflow-wrap: anywhere; pointer-events: auto; }
.elfin > div > p:empty { display: none; }
@container (max-width: 9rem) or (max-height: 4rem) { .elfin > div > p { inset: auto 0.25rem 0.25rem auto; width: 1.5rem; height: 1.5rem; padding: 0; font-size: 0; text-align: center; overflow: hidden; } .elfin > div > p::before { content: var(--mark, '…'); font: bold 0.9rem/1.5rem system-ui; } }
.elfin > span { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: no-preference) { .elfin > canvas { animation: elfin-in 0.3s ease-out; } @keyframes elfin-in { from { opacity: 0; } } }
`;

/** The host of the element's shadow tree: laid out as `<img>` is, but never wider than what is around it. */
export const HOST_STYLE = `
:host { display: inline-block; max-width: 100%; vertical-align: baseline; }
:host([hidden]) { display: none; }
slot { display: none; }
`;

const sheets = new Map<string, CSSStyleSheet>();

/** One constructed sheet for each text: a strict Content Security Policy allows these, and `<style>` not. */
export function sheetOf(text: string): CSSStyleSheet {
  const known = sheets.get(text) ?? new CSSStyleSheet();
  if (!sheets.has(text)) known.replaceSync(text);
  sheets.set(text, known);
  return known;
}

/** Adopts the overlay's style into a document or a shadow root, once. */
export function adoptCompareStyle(root: DocumentOrShadowRoot): void {
  const sheet = sheetOf(COMPARE_STYLE);
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
}
