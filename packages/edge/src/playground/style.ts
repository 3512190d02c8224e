/** The page's look: one sheet, light and dark, from a phone's width up. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#f6f4ef, #101512); --card: light-dark(#fffdf8, #18201b); --ink: light-dark(#15201a, #eef2ec);
  --soft: light-dark(#55615a, #a3afa7); --line: light-dark(#d9d5ca, #2c3831); --accent: light-dark(#0f6b4a, #6fdcae);
  --on-accent: light-dark(#ffffff, #06251a); --bad: light-dark(#9c1f1f, #ffb4ab);
  font: 1rem/1.5 ui-sans-serif, system-ui, 'Segoe UI', sans-serif;
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--paper); color: var(--ink); }
header, main, footer { width: min(76rem, 100%); margin-inline: auto; padding-inline: clamp(1rem, 4vw, 2.5rem); }
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem; padding-block: 1.1rem; }
header b { font-size: 1.2rem; letter-spacing: -0.02em; display: inline-flex; gap: .55rem; align-items: center; }
header nav { display: flex; gap: 1.1rem; font-size: .9rem; }
a { color: inherit; text-underline-offset: .2em; }
h1 { margin: clamp(.5rem, 3vh, 2rem) 0 .5rem; font: 600 clamp(2.1rem, 6vw, 3.6rem)/1 ui-serif, 'Iowan Old Style', Georgia, serif; letter-spacing: -0.03em; text-wrap: balance; }
.lead { max-width: 40rem; margin: 0 0 1.5rem; color: var(--soft); font-size: 1.1rem; }
.board { display: grid; grid-template-columns: minmax(0, 1fr) 21rem; gap: 1.25rem; align-items: start; padding-bottom: 2rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 1.1rem; }
.view { position: sticky; top: 1rem; display: grid; gap: 1rem; min-width: 0; }
.stage { display: grid; min-height: 14rem; overflow: hidden; position: relative; place-items: center; }
.stage > * { grid-area: 1 / 1; }
.compare { position: relative; line-height: 0; touch-action: pan-y; }
.compare img { display: block; max-width: 100%; max-height: 66vh; height: auto; }
.compare img + img { position: absolute; inset: 0; width: 100%; height: 100%; clip-path: inset(0 0 0 var(--cut, 50%)); }
.compare input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
.compare i { position: absolute; inset: 0 auto 0 var(--cut, 50%); width: 2px; margin-left: -1px; background: #fff; box-shadow: 0 0 0 1px #0006; pointer-events: none; }
.compare i::after { content: '⇆'; position: absolute; top: 50%; left: 50%; width: 2.25rem; height: 2.25rem; border-radius: 50%; background: #fff; color: #111; font: 1rem/2.25rem system-ui; text-align: center; transform: translate(-50%, -50%); box-shadow: 0 1px 6px #0008; }
.compare input:focus-visible ~ i::after { outline: 3px solid #2563eb; outline-offset: 2px; }
.compare span { position: absolute; top: .6rem; padding: .15rem .6rem; border-radius: 99px; background: #111c; color: #fff; font-size: .75rem; line-height: 1.5; pointer-events: none; }
.compare span:first-of-type { left: .6rem; } .compare span:last-of-type { right: .6rem; }
.empty { color: var(--soft); padding: 2rem; text-align: center; max-width: 26rem; }
pre { margin: 0; padding: 1rem; overflow: auto; width: 100%; font: .8rem/1.5 ui-monospace, monospace; }
#bar { align-self: end; width: 100%; height: 4px; border: 0; appearance: none; background: transparent; accent-color: var(--accent); z-index: 1; }
#bar::-webkit-progress-bar { background: transparent; } #bar::-webkit-progress-value { background: var(--accent); transition: width .2s; } #bar::-moz-progress-bar { background: var(--accent); }
.url { display: grid; gap: .6rem; padding: .9rem 1rem; }
.url code { overflow-wrap: anywhere; font: .8rem/1.5 ui-monospace, monospace; max-height: 7.5rem; overflow: auto; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem 1rem; margin: 0; padding: .9rem 1rem; }
dt { color: var(--soft); font-size: .75rem; } dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
form { display: grid; gap: 1rem; padding: 1.1rem; }
.range { display: grid; grid-template-columns: 1fr auto; gap: .3rem; font-size: .85rem; color: var(--soft); } .range input { grid-column: 1 / -1; }
.row select { width: auto; min-height: 2.4rem; }
label { display: grid; gap: .3rem; font-size: .85rem; color: var(--soft); }
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; display: grid; gap: .3rem; }
legend { padding: 0; font-size: .85rem; color: var(--soft); margin-bottom: .3rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
.choice { display: flex; flex-wrap: wrap; gap: .4rem; }
.choice label { position: relative; display: block; color: inherit; font-size: .9rem; }
.choice input { position: absolute; inset: 0; opacity: 0; cursor: pointer; margin: 0; }
.choice span { display: block; padding: .4rem .8rem; border: 1px solid var(--line); border-radius: 99px; color: var(--ink); }
.choice input:checked + span { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
input:not([type=radio], [type=range]), select { font: inherit; color: var(--ink); width: 100%; min-height: 2.6rem; padding: .3rem .7rem; border: 1px solid var(--line); border-radius: .7rem; background: var(--paper); }
input[type=range] { accent-color: var(--accent); width: 100%; }
button, .button { font: inherit; font-weight: 550; min-height: 2.4rem; padding: .35rem .95rem; border: 1px solid var(--line); border-radius: 99px; background: transparent; color: inherit; cursor: pointer; text-decoration: none; display: inline-flex; align-items: center; }
button:hover, .button:hover { border-color: var(--accent); }
.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); min-height: 2.75rem; justify-content: center; }
:focus-visible, .choice input:focus-visible + span { outline: 3px solid var(--accent); outline-offset: 2px; }
.samples { display: flex; gap: .5rem; overflow-x: auto; padding: 3px; margin: -3px; }
.samples button { flex: none; padding: 0; border-radius: .6rem; overflow: hidden; width: 5rem; height: 3.75rem; min-height: 0; border: 2px solid transparent; background: var(--line); }
.samples button[aria-pressed=true] { border-color: var(--accent); }
.samples img { width: 100%; height: 100%; object-fit: cover; display: block; }
details { border-top: 1px solid var(--line); padding-top: .8rem; } summary { cursor: pointer; font-size: .9rem; } details > div { display: grid; gap: .9rem; padding-top: .9rem; }
#status { margin: 0; min-height: 1.5em; font-size: .9rem; color: var(--soft); } #status.bad { color: var(--bad); }
footer { padding-block: 1rem 2rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 56rem) { .board { grid-template-columns: minmax(0, 1fr); } .view { position: static; } .compare img { max-height: 60vh; } }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`;
