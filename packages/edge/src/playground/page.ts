import { OPTION_NAMES, OPTIONS, type OptionName, type OptionSpec } from '../url/options.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

const ICON =
  '<svg width="28" height="28" viewBox="0 0 64 64" aria-hidden="true"><rect width="64" height="64" rx="16" fill="#0f6b4a"/><path d="M32 10c10 13 15 20 15 28a15 15 0 0 1-30 0c0-8 5-15 15-28z" fill="#f6f4ef"/><path d="M32 10c10 13 15 20 15 28a15 15 0 0 1-15 15z" fill="#6fdcae"/></svg>';

/** What stands in the open; the other options are behind “More”. */
const SHOWN: readonly OptionName[] = ['restore', 'strength', 'width', 'height', 'format', 'quality'];

const attribute = (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

/** An input for one row of the table. */
function control(name: OptionName): string {
  const spec: OptionSpec = OPTIONS[name];
  const hint = attribute(spec.about);
  if (name === 'restore' && spec.kind === 'choice') {
    const choices = spec.values.map(
      (value) =>
        `<label><input type="radio" name="${name}" value="${value}"${value === 'derain' ? ' checked' : ''}><span>${value}</span></label>`,
    );
    return `<fieldset title="${hint}"><legend>${name}</legend><div class="choice">${choices.join('')}</div></fieldset>`;
  }
  if (name === 'strength' && spec.kind === 'decimal') {
    // An output inside the label would be what the label names.
    return `<div class="range" title="${hint}"><label for="strength">${name}</label><output id="amount" for="strength">100 %</output><input id="strength" type="range" name="${name}" min="${spec.min}" max="${spec.max}" step="0.05" value="1"></div>`;
  }
  if (spec.kind === 'choice') {
    const values = spec.values.map((value) => `<option${value === spec.default ? ' selected' : ''}>${value}</option>`);
    // The default is not written into the URL.
    const options = values.map((option) => option.replace(' selected>', ' value="" selected>'));
    const none = spec.default === undefined ? '<option value="" selected>–</option>' : '';
    return `<label title="${hint}">${name}<select name="${name}">${none}${options.join('')}</select></label>`;
  }
  const plain = spec.kind === 'name' || (spec.kind === 'integer' && spec.words);
  const numeric = plain ? '' : ` inputmode="${spec.kind === 'integer' ? 'numeric' : 'decimal'}"`;
  return `<label title="${hint}">${name}<input name="${name}"${numeric} placeholder="${spec.default ?? spec.example}"></label>`;
}

/** The page at `/`. */
export function page(): string {
  const [restore, strength, ...shown] = SHOWN.map(control);
  const more = OPTION_NAMES.filter((name) => !SHOWN.includes(name)).map(control);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>elfin: photos, restored by URL</title><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"><style>${STYLE}</style></head>
<body><header><b>${ICON} elfin</b><nav><a href="openapi.json">OpenAPI</a></nav></header>
<main><h1>Photos, restored by URL.</h1>
<p class="lead">Put a photo’s address behind a few options, and that URL is the photo: restored, fitted, in the best format the browser names.</p>
<div class="board"><div class="view">
<div class="stage card"><p class="empty">Choose a photo, or name one that this server may read.</p><pre hidden tabindex="0"></pre>
<div class="compare" hidden><img alt="The photo as it was"><img alt="The photo as asked"><input type="range" min="0" max="100" value="50" aria-label="Before and after"><i></i><span>before</span><span>after</span></div>
<progress id="bar" max="1" aria-label="Progress" hidden></progress></div>
<p id="status" role="status"></p>
<div class="url card" hidden><code></code><div class="row"><button type="button" id="copy">Copy</button><select id="as" aria-label="Copy as"><option value="url">URL</option><option value="img">&lt;img&gt;</option><option value="curl">curl</option><option value="sdk">SDK</option></select><a class="button" target="_blank" rel="noopener">Open</a></div></div>
<dl class="card" hidden></dl></div>
<form class="card"><label>source<input name="source" required autocomplete="off" spellcheck="false" placeholder="rain.jpg or https://origin.example/rain.jpg"></label>
<div class="samples" hidden aria-label="Photos of this server"></div>
${restore}${strength}<div class="pair">${shown.join('')}</div>
<details><summary>More options</summary><div>${more.join('')}</div></details>
<button class="primary">Show</button></form></div></main>
<footer>For development: this page signs whatever it is asked to, so a public server never shows it.</footer>
<script>${SCRIPT}</script></body></html>`;
}
