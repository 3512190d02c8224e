// Runs in a page: what `<elfin-image>` does beside what `<img>` does. Each row gives two values that must be the same, or a value
// and what it must be. The page is bundled by ./site.ts and runs in every browser that the tests have.
import { defineElfinImage, type ElfinImageElement, restoreElement } from '@elfin/core/element';
import { createRestorer, fetchModels, type WebRestorer } from '@elfin/core/web';
import { box, canvasOf, event, frame, loadedOf, meanOf, near, put, settled, stage } from './page.ts';
import { SCENES } from './scenes.ts';

/** Where another site is, which allows nothing but `/cors/…`. */
const OTHER = new URLSearchParams(location.search).get('other')!;
const A = '/images/a.png';
const B = '/images/b.png';
let restorations = 0;
const real = createRestorer({ models: fetchModels('/elfin/models'), assets: '/elfin', device: 'wasm' });
const counting: WebRestorer = {
  ...real,
  restore(...given) {
    restorations++;
    return real.restore(...given);
  },
};
const violations: string[] = [];
addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) =>
  violations.push(`${effectiveDirective} ${blockedURI}`),
);

type Tag = 'img' | 'elfin-image';
type Rows = Readonly<Record<string, () => Promise<{ readonly is: unknown; readonly due: unknown }>>>;

/** The same for both kinds of element. */
const both = async (of: (tag: Tag) => unknown) => ({ is: await of('elfin-image'), due: await of('img') });

const attributes: Rows = {
  'attributes and properties reflect each other': () =>
    both((tag) => {
      const element = document.createElement(tag) as HTMLImageElement;
      const seen: unknown[] = [element.src, element.srcset, element.crossOrigin, element.width];
      Object.assign(element, { src: 'a.jpg', srcset: 'b.jpg 2x', sizes: '50vw', alt: 'A', loading: 'lazy' });
      Object.assign(element, { crossOrigin: 'anonymous', width: 30, height: 20 });
      seen.push(element.getAttributeNames().toSorted(), element.src, element.sizes, element.alt);
      for (const [name, value] of [
        ['loading', 'LAZY'],
        ['crossorigin', 'use-credentials'],
        ['width', '12px'],
      ]) {
        element.setAttribute(name!, value!);
      }
      seen.push(element.loading, element.crossOrigin, element.width);
      element.setAttribute('loading', 'whenever');
      element.setAttribute('crossorigin', 'whatever');
      seen.push(element.loading === 'lazy', element.crossOrigin);
      element.crossOrigin = null;
      return [...seen, element.hasAttribute('crossorigin')];
    }),
  'its own attributes have defaults and are reflected': async () => {
    const element = document.createElement('elfin-image');
    const before = [element.task, element.strength, element.model, element.compare, element.state];
    Object.assign(element, { task: 'derain', strength: 0.5, model: 'full', compare: true });
    return {
      is: [before, element.outerHTML],
      due: [
        ['auto', 1, 'lw', false, 'idle'],
        '<elfin-image task="derain" strength="0.5" model="full" compare=""></elfin-image>',
      ],
    };
  },
  'what was set before the element was defined counts': async () => {
    const early = document.createElement('elfin-early') as ElfinImageElement;
    Object.assign(early, { src: A, task: 'derain' });
    stage().replaceChildren(early);
    const before = early.outerHTML;
    defineElfinImage(counting, 'elfin-early');
    return {
      is: [before, early.outerHTML],
      due: ['<elfin-early></elfin-early>', `<elfin-early src="${A}" task="derain"></elfin-early>`],
    };
  },
  'load and error are fired, currentSrc and natural sides known': () =>
    both(async (tag) => {
      const element = put<HTMLImageElement>(`<${tag} id="it" src="${A}"></${tag}>`);
      if (!(element.complete && element.naturalWidth)) await event(element, 'load');
      const seen = [element.naturalWidth, element.naturalHeight, element.currentSrc];
      element.src = '/images/nothing.png';
      return [...seen, (await event(element, 'error')).bubbles];
    }),
  'srcset and sizes choose the same candidate': () =>
    both(async (tag) => {
      const element = put<HTMLImageElement>(
        `<${tag} id="it" src="${A}" srcset="${A} 1w, ${B} 4000w" sizes="3000px"></${tag}>`,
      );
      await loadedOf(element);
      return element.currentSrc;
    }),
};

const layout: Rows = {
  'room is reserved before anything is there': () =>
    both(async (tag) => {
      const element = put(`<${tag} id="it" width="300" height="200" src="/slow.png"></${tag}>`);
      await frame();
      return box(element);
    }),
  'reserved room gives way to the page’s rules, in proportion': () =>
    both(async (tag) => {
      const rules = '#it { width: 50%; height: auto; }';
      const element = put(`<${tag} id="it" width="300" height="200" src="/slow.png"></${tag}>`, rules);
      await frame();
      return box(element);
    }),
  'without sides it is as large as the picture': () =>
    both(async (tag) => {
      const element = put(`<p>before <${tag} id="it" src="${A}" task="derain"></${tag}> after</p>`);
      await loadedOf(element);
      await frame();
      return [box(element), box(stage().querySelector('p')!)];
    }),
  'a height alone gives the width': () =>
    both(async (tag) => {
      const element = put(`<${tag} id="it" src="${A}"></${tag}>`, '#it { height: 24px; }');
      await loadedOf(element);
      await frame();
      return box(element);
    }),
  'fit and radius reach the picture and the result': async () => {
    const rules = '#it { width: 40px; height: 60px; object-fit: cover; object-position: 0 0; border-radius: 7px; }';
    const element = put(`<elfin-image id="it" src="${A}" task="derain"></elfin-image>`, rules);
    await settled(element);
    const seen = [element.shadowRoot!.querySelector('img')!, canvasOf(element)].map((part) => {
      const { objectFit, objectPosition, borderTopLeftRadius } = getComputedStyle(part);
      return [objectFit, objectPosition, borderTopLeftRadius, box(part).slice(2)];
    });
    const due = ['cover', '0px 0px', '7px', [40, 60]];
    return { is: seen, due: [due, due] };
  },
  'hidden hides': () =>
    both(async (tag) => {
      const element = put(`<${tag} id="it" src="${A}" hidden></${tag}>`);
      await frame();
      return box(element).slice(2);
    }),
};

const work: Rows = {
  'lazy: what is far below is neither fetched nor restored until it comes near': async () => {
    const far = (id: string) =>
      `<div class="gap"></div><elfin-image id="${id}" loading="lazy" width="64" height="48" src="/images/a.png?${id}" task="derain"></elfin-image>`;
    const fetched = (id: string) =>
      performance.getEntriesByType('resource').some(({ name }) => name.endsWith(`a.png?${id}`));
    put(`${far('one')}${far('two')}`, '.gap { height: 12000px; }');
    const first = stage().querySelector<ElfinImageElement>('#one')!;
    await frame();
    await frame();
    const before = [fetched('one'), first.state];
    first.scrollIntoView();
    await settled(first);
    const after = [fetched('one'), first.state, fetched('two')];
    scrollTo(0, 0);
    return {
      is: [before, after],
      due: [
        [false, 'waiting'],
        [true, 'restored', false],
      ],
    };
  },
  'one at a time, the nearest first, whatever the order in the page': async () => {
    const one = (id: string) =>
      `<elfin-image id="${id}" width="64" height="48" src="/images/a.png?${id}" task="derain"></elfin-image>`;
    put(`<div class="far">${one('far')}</div>${one('near')}${one('it')}`, '.far { position: absolute; top: 9000px; }');
    const order: string[] = [];
    let together = 0;
    let most = 0;
    stage().addEventListener('elfin-statechange', ({ target, detail }: CustomEventInit & Event) => {
      if (detail.state === 'restoring') most = Math.max(most, ++together);
      if (detail.state === 'restored') {
        together--;
        order.push((target as Element).id);
      }
    });
    for (const element of stage().querySelectorAll('elfin-image')) await settled(element);
    // The first to be loaded may be any of them.
    return { is: [most, order.length, order.indexOf('far') > 0 || order[0] === 'far'], due: [1, 3, true] };
  },
  'moved, it is not restored again': async () => {
    const element = put(`<elfin-image id="it" src="${A}" task="derain"></elfin-image><p></p>`);
    await settled(element);
    const before = restorations;
    const p = stage().querySelector('p')!;
    p.append(element);
    await frame();
    (stage() as unknown as { moveBefore?(node: Node, child: null): void }).moveBefore?.(element, null);
    await frame();
    element.remove();
    await frame();
    stage().append(element);
    await frame();
    return { is: [restorations - before, element.state], due: [0, 'restored'] };
  },
  'moved in mid-work, the work goes on': async () => {
    const element = put(`<elfin-image id="it" src="${A}" task="derain"></elfin-image><p></p>`);
    const before = restorations;
    await event(element, 'elfin-progress');
    stage().querySelector('p')!.append(element);
    await settled(element);
    return { is: [restorations - before, element.state], due: [1, 'restored'] };
  },
  'removed, its work ends; back again, it is restored': async () => {
    const element = put(`<elfin-image id="it" src="${A}" task="derain"></elfin-image>`);
    let done = 0;
    element.addEventListener('elfin-done', () => done++);
    await event(element, 'elfin-progress');
    element.remove();
    await event(element, 'elfin-statechange');
    const without = [element.state, done];
    stage().append(element);
    await settled(element);
    return { is: [without, element.state, done], due: [['idle', 0], 'restored', 1] };
  },
  'another src in mid-work: the new picture is restored, once': async () => {
    const element = put(`<elfin-image id="it" src="${A}" task="derain"></elfin-image>`);
    let done = 0;
    element.addEventListener('elfin-done', () => done++);
    await event(element, 'elfin-progress');
    element.src = B;
    await event(element, 'elfin-done');
    return { is: [done, near(meanOf(canvasOf(element)), [20, 20, 200, 255])], due: [1, true] };
  },
  'the page rewrites everything in mid-work, and the next one works': async () => {
    const gone = put(`<elfin-image id="it" src="${A}" task="derain"></elfin-image>`);
    await event(gone, 'elfin-progress');
    const element = put(`<elfin-image id="it" src="${B}" task="derain"></elfin-image>`);
    await settled(element);
    return { is: [gone.state, element.state], due: ['idle', 'restored'] };
  },
  'states are custom states, and said to be busy meanwhile': async () => {
    const element = put(`<elfin-image id="it" src="${A}" task="derain"></elfin-image>`);
    await event(element, 'elfin-progress');
    const during = element.matches(':state(restoring)');
    await settled(element);
    return {
      is: [during, element.matches(':state(restored)'), element.matches(':state(restoring)')],
      due: [true, true, false],
    };
  },
  'auto that finds nothing leaves the picture alone': async () => {
    const element = put('<elfin-image id="it" src="/images/grey.png"></elfin-image>');
    await settled(element);
    return { is: [element.state, canvasOf(element).width, element.report?.task], due: ['untouched', 1, 'none'] };
  },
  'a wrong attribute is told with its code; mended, it works': async () => {
    const element = put(`<elfin-image id="it" src="${A}" task="derain" strength="2"></elfin-image>`);
    await settled(element);
    const wrong = [element.state, element.error?.code];
    element.strength = 0.5;
    await settled(element);
    return { is: [wrong, element.state], due: [['failed', 'OPTION_INVALID'], 'restored'] };
  },
};

const inPage: Rows = {
  'a picture inside: the browser’s choice is restored, and nothing moves': async () => {
    const html = `<figure><picture><source media="all" srcset="${B}"><img src="${A}" alt="B"></picture><figcaption>x</figcaption></figure>`;
    const rules =
      'figure { display: grid; gap: 9px; } img { width: 50px; height: 50px; object-fit: cover; border-radius: 8px; }';
    put(html, rules);
    await loadedOf(stage().querySelector('img')!);
    const layout = () => ['figure', 'img', 'figcaption'].map((name) => box(stage().querySelector(name)!));
    const due = layout();
    put(
      html
        .replace('<picture>', '<elfin-image id="it" task="derain"><picture>')
        .replace('</picture>', '</picture></elfin-image>'),
      rules,
    );
    const element = stage().querySelector('elfin-image')!;
    await settled(element);
    const canvas = canvasOf(element);
    return {
      is: [
        layout(),
        box(canvas),
        getComputedStyle(canvas).objectFit,
        near(meanOf(canvas), [20, 20, 200, 255]),
        element.currentSrc,
      ],
      due: [due, due[1], 'cover', true, new URL(B, location.href).href],
    };
  },
  'what is inside shows without JavaScript': async () => {
    const iframe = put<HTMLIFrameElement>('<iframe id="it" sandbox="allow-same-origin"></iframe>');
    iframe.src = '/fallback.html';
    await event(iframe, 'load');
    const inside = iframe.contentDocument!;
    const image = inside.querySelector('img')!;
    if (!image.complete) await event(image, 'load');
    return {
      is: [image.naturalWidth > 0 && image.getBoundingClientRect().width > 0, inside.title],
      due: [true, 'no script has run'],
    };
  },
  'inside, a src that the page changes is restored anew': async () => {
    const element = put(`<elfin-image id="it" task="derain"><img src="${A}" alt=""></elfin-image>`);
    await settled(element);
    element.querySelector('img')!.src = B;
    await event(element, 'elfin-done');
    return { is: near(meanOf(canvasOf(element)), [20, 20, 200, 255]), due: true };
  },
};

const elsewhere: Rows = {
  'another site without CORS: shown, unrestored, with the advice': async () => {
    const element = put(`<elfin-image id="it" src="${OTHER}images/a.png" task="derain"></elfin-image>`);
    await settled(element);
    const note = element.shadowRoot!.querySelector<HTMLElement>('[part=status]')!;
    return {
      is: [element.naturalWidth > 0, element.state, element.error?.code, /CORS/.test(note.textContent!)],
      due: [true, 'failed', 'INPUT_UNREADABLE', true],
    };
  },
  'another site with CORS: restored': async () => {
    const element = put(`<elfin-image id="it" src="${OTHER}cors/a.png" task="derain"></elfin-image>`);
    await settled(element);
    return { is: element.state, due: 'restored' };
  },
  'errors fit into the picture': async () => {
    const element = put(
      `<elfin-image id="it" width="90" height="60" src="/images/nothing.png" task="derain"></elfin-image>`,
    );
    await settled(element);
    const note = element.shadowRoot!.querySelector<HTMLElement>('[part=status]')!;
    const [x, y, width, height] = box(note) as [number, number, number, number];
    const [left, top] = box(element) as [number, number];
    return {
      is: [element.state, x >= left, y >= top, x + width <= left + 90, y + height <= top + 60, note.title.length > 10],
      due: ['failed', true, true, true, true, true],
    };
  },
};

const inPlace: Rows = Object.fromEntries(
  Object.entries(SCENES).map(([name, [html, rules]]) => [
    `restoreElement in ${name}: nothing around changes, and undone there is no trace`,
    async () => {
      const picture = put<HTMLImageElement>(html, rules);
      if (!picture.complete) await event(picture, 'load');
      await picture.decode();
      await frame();
      let clicks = 0;
      picture.addEventListener('click', () => clicks++);
      const elements = [...stage().querySelectorAll('*')];
      const layout = () => elements.map(box);
      const [before, markup] = [layout(), stage().innerHTML];
      const chosen = meanOf(picture);
      const place = restoreElement(picture, { restorer: counting, task: 'derain' });
      await place.restored;
      await frame();
      const during = layout();
      const over = box(place.compare.canvas);
      const [x, y] = [over[0]! + 1, over[1]! + over[3]! / 2];
      (document.elementFromPoint(x, y) as HTMLElement).click();
      const same = near(meanOf(place.compare.canvas), chosen);
      place.remove();
      return {
        is: [during, over, same, clicks, layout(), stage().innerHTML, stage().querySelector('#it') === picture],
        due: [before, box(picture), true, 1, before, markup, true],
      };
    },
  ]),
);

const policy: Rows = {
  'all of this under a strict Content Security Policy': async () => ({ is: violations, due: [] }),
};

/** What one row finds; `due` is what it should be. */
export const rows: Rows = { ...attributes, ...layout, ...work, ...inPage, ...elsewhere, ...inPlace, ...policy };
defineElfinImage(counting);
Object.assign(globalThis, { rows });
