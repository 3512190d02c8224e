/** Pages whose rules notice an element more: each must stay as it is while `restoreElement` works in it. */
export const SCENES: Readonly<Record<string, readonly [html: string, rules: string]>> = {
  'a paragraph': [
    '<p>one <img id="it" class="x" src="/images/a.png" alt=""> two</p>',
    'img { border: 3px solid; padding: 2px; }',
  ],
  'a picture in a figure': [
    `<figure><picture><source media="all" srcset="/images/b.png"><img id="it" src="/images/a.png" alt=""></picture><figcaption>x</figcaption></figure>`,
    'img { display: block; width: 60px; height: 60px; object-fit: cover; border-radius: 9px; margin: auto; } picture + figcaption { margin-top: 13px; }',
  ],
  'a flex row with gaps': [
    `<div><img id="it" src="/images/a.png" alt=""><b>x</b></div>`,
    'div { display: flex; gap: 21px; } img + b { padding-left: 5px; }',
  ],
  'the last child counts': [
    `<div><b>x</b><img id="it" src="/images/a.png" alt=""></div><i>y</i>`,
    'div > * { display: block; } div > :not(:last-child) { margin-bottom: 17px; }',
  ],
  'every other child counts': [
    `<div><img id="it" src="/images/a.png" alt=""></div><i>y</i>`,
    'div > * { display: block; } div > * + * { margin-top: 17px; } img:only-child { width: 50px; }',
  ],
  scaled: [
    `<div><img id="it" src="/images/a.png" alt=""></div>`,
    'div { transform: scale(0.5); transform-origin: 0 0; }',
  ],
};
