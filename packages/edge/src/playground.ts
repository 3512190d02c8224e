import type { Hono } from 'hono';
import { errorResponse } from './errors.ts';
import { OPTION_NAMES, OPTIONS, type OptionSpec } from './options.ts';
import type { Signer } from './sign.ts';
import { formatTransform, parseOptions } from './url.ts';

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
form { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; }
label { display: grid; font-size: .85rem; }
label.wide { grid-column: 1 / -1; }
input, select { font: inherit; padding: .3rem; }
output { display: block; overflow-wrap: anywhere; font-family: ui-monospace, monospace; margin: 1rem 0; }
.compare { position: relative; display: grid; }
.compare img { grid-area: 1 / 1; width: 100%; display: block; }
.compare img + img { clip-path: inset(0 0 0 var(--cut, 50%)); }
.compare input { grid-area: 1 / 1; width: 100%; align-self: end; opacity: .85; z-index: 1; }
`;

const SCRIPT = `
const form = document.querySelector('form');
const output = document.querySelector('output');
const [before, after] = document.querySelectorAll('.compare img');
const status = document.querySelector('#status');
const cut = document.querySelector('.compare input');
cut.addEventListener('input', () => cut.parentElement.style.setProperty('--cut', cut.value + '%'));
async function sign(options, source) {
  const answer = await fetch('_playground/sign?' + new URLSearchParams({ options, source }));
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return (await answer.text()).slice(1);
}
async function show() {
  const data = new FormData(form);
  const source = data.get('source');
  data.delete('source');
  const options = [...data].filter(([, value]) => value !== '').map((pair) => pair.join('='));
  const plain = options.filter((option) => !option.startsWith('restore=')).concat('restore=none');
  try {
    status.textContent = 'working…';
    const [url, original] = [await sign(options.join(','), source), await sign(plain.join(','), source)];
    output.textContent = new URL(url, location).href;
    before.src = original;
    for (;;) {
      const answer = await fetch(url, { cache: 'reload' });
      if (!answer.ok) throw new Error(answer.status + ' ' + (answer.headers.get('elfin-error') ?? ''));
      status.textContent = [answer.headers.get('restore-status'), answer.headers.get('elfin-info')].join(' · ');
      const last = after.src;
      after.src = URL.createObjectURL(await answer.blob());
      if (last) URL.revokeObjectURL(last);
      if (answer.headers.get('is-intermediate-response') !== 'true') break;
      await new Promise((wake) => setTimeout(wake, 1000 * Number(answer.headers.get('retry-after') ?? 2)));
    }
  } catch (error) { status.textContent = error.message; }
}
form.addEventListener('submit', (event) => { event.preventDefault(); show(); });
`;

function control(name: string, spec: OptionSpec): string {
  const hint = spec.about.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
  if (spec.kind === 'choice') {
    const chosen = name === 'restore' ? 'derain' : '';
    const options = ['', ...spec.values].map(
      (value) => `<option${value === chosen ? ' selected' : ''}>${value}</option>`,
    );
    return `<label title="${hint}">${name}<select name="${name}">${options.join('')}</select></label>`;
  }
  return `<label title="${hint}">${name}<input name="${name}" placeholder="${spec.default ?? spec.example}"></label>`;
}

function page(): string {
  const controls = OPTION_NAMES.map((name) => control(name, OPTIONS[name])).join('');
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>elfin: transform URLs</title><style>${STYLE}</style>
<h1>Transform URLs</h1>
<form><label class="wide">source<input name="source" required placeholder="rain.jpg or https://origin.example/rain.jpg"></label>
${controls}<label>&nbsp;<button>Show</button></label></form>
<output></output><p id="status"></p>
<div class="compare"><img alt="before"><img alt="after"><input type="range" min="0" max="100" value="50" aria-label="before and after"></div>
<script>${SCRIPT}</script></html>`;
}

const hash = async (text: string) => {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return `'sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}'`;
};

/** A page at `/` to try URLs on, and a signer for it. Only for development: whoever reaches it can have anything signed. */
export function landingPage(app: Hono, options: { readonly prefix: string; readonly signer?: Signer }): void {
  const csp = Promise.all([hash(SCRIPT), hash(STYLE)]).then(
    ([script, style]) =>
      `default-src 'none'; script-src ${script}; style-src ${style}; img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
  app.get('/', async (c) =>
    c.html(page(), 200, { 'content-security-policy': await csp, 'x-content-type-options': 'nosniff' }),
  );
  app.get('/_playground/sign', async (c) => {
    try {
      const transform = { options: parseOptions(c.req.query('options') ?? ''), source: c.req.query('source') ?? '' };
      const url = options.signer
        ? await options.signer.sign(transform)
        : `/${options.prefix}/${formatTransform(transform)}`;
      return c.text(url, 200, { 'cache-control': 'no-store' });
    } catch (error) {
      return errorResponse(error);
    }
  });
}
