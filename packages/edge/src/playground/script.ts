/** What the page does. Plain JavaScript in a string: it is sent as it stands, under a hash in the page's policy. */
export const SCRIPT = `
const $ = (selector) => document.querySelector(selector);
const form = $('form');
const [before, after] = document.querySelectorAll('.compare img');
const cut = $('.compare input');
const status = $('#status');
const bar = $('#bar');
let turn = 0;
// What the browser would ask for an <img>, so that format=auto shows what a page gets.
const headers = { accept: 'image/avif,image/webp,*/*' };

function slide() {
  $('.compare').style.setProperty('--cut', cut.value + '%');
  cut.setAttribute('aria-valuetext', cut.value + '% of the photo as it was, the rest as asked');
}
cut.addEventListener('input', slide);

function say(text, bad) {
  status.textContent = text;
  status.classList.toggle('bad', bad === true);
}

async function sign(options, source) {
  const answer = await fetch('_playground/sign?' + new URLSearchParams({ options, source }));
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return (await answer.text()).slice(1);
}

function wanted() {
  const data = new FormData(form);
  const source = String(data.get('source')).trim();
  data.delete('source');
  // Full strength is what applies anyhow: left out, the URL stays short.
  const pairs = [...data].filter(([name, value]) => value !== '' && !(name === 'strength' && value === '1'));
  return { source, options: pairs.map((pair) => pair.join('=')) };
}

/** Shows an image once it can be painted, so that nothing flickers. */
async function paint(image, blob) {
  const url = URL.createObjectURL(blob);
  const ready = new Image();
  ready.src = url;
  await ready.decode();
  const last = image.src;
  image.src = url;
  if (last.startsWith('blob:')) URL.revokeObjectURL(last);
  return ready;
}

function tell(answer, ms) {
  const info = Object.fromEntries((answer.headers.get('elfin-info') ?? '').split(' ').map((part) => part.split('=')));
  const kilo = (bytes) => (bytes / 1000).toLocaleString('en', { maximumFractionDigits: 1 }) + ' kB';
  const facts = {
    State: (answer.headers.get('restore-status') ?? '').split(';')[0],
    Source: [info.idim && info.idim.replace('x', ' × '), info.ifmt, info.ifsz && kilo(info.ifsz)].filter(Boolean).join(' · '),
    Result: [info.odim && info.odim.replace('x', ' × '), info.ofmt, info.ofsz && kilo(info.ofsz)].filter(Boolean).join(' · '),
    Model: info.rt, Tiles: info.tiles, 'Made by': info.by,
    // What was made at another time tells nothing of how long it takes.
    ...(info.cache === 'hit'
      ? { Came: 'from the store' }
      : { Cache: info.cache, Took: (ms / 1000).toLocaleString('en', { maximumFractionDigits: 2 }) + ' s' }),
  };
  $('dl').replaceChildren(...Object.entries(facts).filter(([, value]) => value && value !== 'none').map(([name, value]) => {
    const box = document.createElement('div');
    const term = document.createElement('dt');
    const fact = document.createElement('dd');
    term.textContent = name;
    fact.textContent = value;
    box.append(term, fact);
    return box;
  }));
  $('dl').hidden = false;
}

/** The job's own word on how far it is. */
function follow(answer) {
  const job = /job="([^"]+)"/.exec(answer.headers.get('restore-status') ?? '')?.[1];
  if (!job) return () => {};
  const events = new EventSource('jobs/' + job);
  events.addEventListener('progress', ({ data }) => { bar.value = JSON.parse(data).progress; });
  for (const end of ['done', 'failed', 'cancelled', 'error']) events.addEventListener(end, () => events.close());
  return () => events.close();
}

async function show() {
  const mine = ++turn;
  const { source, options } = wanted();
  if (!source) return say('Name a source first.', true);
  for (const button of document.querySelectorAll('.samples button')) {
    button.setAttribute('aria-pressed', String(button.title === source));
  }
  const shape = options.filter((option) => !/^(restore|strength|model|pending|format)=/.test(option));
  bar.hidden = false;
  bar.removeAttribute('value');
  say('Asking…');
  let stop = () => {};
  try {
    const url = await sign(options.join(','), source);
    $('.url code').textContent = new URL(url, location).href;
    $('.url a').href = url;
    $('.url').hidden = false;
    const begin = performance.now();
    const plain = fetch(await sign(shape.concat('restore=none', 'format=auto').join(','), source), { headers });
    for (let first = true; ; first = false) {
      const answer = await fetch(url, { headers, cache: first ? 'default' : 'no-cache' });
      if (mine !== turn) return;
      const type = answer.headers.get('content-type') ?? '';
      const job = answer.status === 202 || answer.status === 423;
      if (!answer.ok && !job) {
        const { detail } = await answer.json().catch(() => ({}));
        throw new Error(answer.status + ' ' + (answer.headers.get('elfin-error') ?? '') + (detail ? ': ' + detail : ''));
      }
      const interim = job || answer.headers.get('is-intermediate-response') === 'true';
      tell(answer, performance.now() - begin);
      if (!job && type.startsWith('application/json')) {
        $('pre').textContent = JSON.stringify(await answer.json(), null, 2);
        $('pre').hidden = false;
        $('.compare').hidden = $('.empty').hidden = true;
      } else if (!job) {
        const blob = await answer.blob();
        if (first) {
          const original = await plain;
          if (original.ok) await paint(before, await original.blob());
        }
        await paint(after, blob);
        $('pre').hidden = $('.empty').hidden = true;
        $('.compare').hidden = false;
      }
      if (!interim) break;
      if (first) stop = follow(answer);
      say(job ? 'The server answers ' + answer.status + ' and works on it…' : 'This is the photo as it was; the restored one is being made…');
      await new Promise((wake) => setTimeout(wake, 1000 * Number(answer.headers.get('retry-after') ?? 2)));
      if (mine !== turn) return;
    }
    say('Done. Drag the handle to compare.');
  } catch (error) {
    if (mine === turn) say(error.message, true);
  } finally {
    stop();
    if (mine === turn) bar.hidden = true;
  }
}

form.addEventListener('submit', (event) => { event.preventDefault(); show(); });
form.addEventListener('change', () => { if (form.elements.source.value.trim()) show(); });
form.elements.strength.addEventListener('input', () => { $('#amount').textContent = Math.round(form.elements.strength.value * 100) + ' %'; });
/** The address in the words of where it goes. */
function inWords() {
  const url = $('.url code').textContent;
  const { source, options } = wanted();
  const named = (options.find((option) => option.startsWith('restore=')) ?? '').slice(8);
  const task = ['derain', 'lowlight', 'underwater'].includes(named) ? named : 'auto';
  return {
    url,
    img: '<img src="' + url.replaceAll('&', '&amp;') + '" alt="">',
    curl: "curl -o restored '" + url.replaceAll("'", '%27') + "'",
    sdk: [
      "import { createModels } from '@elfin/models/node';",
      "import { createRestorer } from '@elfin/core/node';",
      '',
      'await using restorer = createRestorer({ models: createModels() });',
      'await restorer.restoreFile(' + JSON.stringify(source) + ", 'restored.jpg', { task: '" + task + "' });",
    ].join(String.fromCharCode(10)),
  }[$('#as').value];
}

$('#copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText(inWords()).catch(() => getSelection().selectAllChildren($('.url code')));
  $('#copy').textContent = 'Copied';
  setTimeout(() => { $('#copy').textContent = 'Copy'; }, 1500);
});
slide();

fetch('_playground/samples').then((answer) => answer.json()).then((samples) => {
  const strip = $('.samples');
  strip.replaceChildren(...samples.map(({ source, thumbnail }) => {
    const button = document.createElement('button');
    const image = Object.assign(new Image(), { src: thumbnail.slice(1), alt: source, loading: 'lazy' });
    Object.assign(button, { type: 'button', title: source });
    button.append(image);
    button.addEventListener('click', () => { form.elements.source.value = source; show(); });
    return button;
  }));
  strip.hidden = samples.length === 0;
  if (samples.length > 0 && !form.elements.source.value) { form.elements.source.value = samples[0].source; show(); }
});
`;
