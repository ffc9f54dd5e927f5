// How the panel looks: quiet, in light and dark, from 320 pixels up.

export const panelStyle = `
:host {
  color-scheme: light dark;
  --paper: light-dark(#ffffff, #1b1d21);
  --ink: light-dark(#1d1f23, #e7e8ea);
  --muted: light-dark(#5b6068, #a3a8b0);
  --rule: light-dark(#e3e5e9, #34373d);
  --hover: light-dark(#f3f4f6, #26292e);
  --good: light-dark(#1a7448, #74cf9b);
  --wait: light-dark(#8a5a00, #e3b567);
  --bad: light-dark(#b3261e, #ff978e);
  display: block;
  box-sizing: border-box;
  min-width: 0;
  overflow: auto;
  border: 1px solid var(--rule);
  border-radius: 10px;
  background: var(--paper);
  color: var(--ink);
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
  text-align: start;
}
:host([hidden]) { display: none; }
*, ::before { box-sizing: border-box; }
:focus-visible { outline: 2px solid currentcolor; outline-offset: 2px; }
header { display: flex; align-items: baseline; gap: 8px; padding: 12px 14px 0; }
h2 { flex: 1; margin: 0; color: var(--muted); font-size: 12px; font-weight: 500; }
button {
  flex: none;
  min-height: 26px;
  padding: 2px 10px;
  border: 1px solid var(--rule);
  border-radius: 999px;
  background: none;
  color: inherit;
  font: inherit;
  font-size: 12px;
  cursor: pointer;
}
button:hover { background: var(--hover); }
p { margin: 0; }
.verdict { margin: 4px 14px 0; font-size: 15px; font-weight: 600; }
.why { padding: 2px 14px 12px; color: var(--muted); }
[data-tone] { position: relative; padding-inline-start: 16px; }
[data-tone]::before {
  position: absolute;
  inset-block-start: calc(0.725em - 4px);
  inset-inline-start: 0;
  width: 8px;
  height: 8px;
  border-radius: 50%;
  background: currentcolor;
  content: "";
}
[data-tone="wait"]::before { background: none; box-shadow: inset 0 0 0 2px currentcolor; }
[data-tone="bad"]::before { border-radius: 1px; transform: rotate(45deg) scale(.9); }
.verdict[data-tone="good"], .tone[data-tone="good"] { color: var(--good); }
.verdict[data-tone="wait"], .tone[data-tone="wait"] { color: var(--wait); }
.verdict[data-tone="bad"], .tone[data-tone="bad"] { color: var(--bad); }
details { border-top: 1px solid var(--rule); }
summary { padding: 8px 14px; cursor: pointer; }
summary:hover { background: var(--hover); }
summary:focus-visible { outline-offset: -2px; }
.name { margin-inline-end: 8px; font-weight: 600; }
.name + .tone { display: inline-block; }
.reasons { margin: 0 14px 6px; padding: 0; list-style: none; }
.reasons:empty { display: none; }
.reasons li { padding-block: 1px; }
dl {
  display: grid;
  grid-template-columns: minmax(84px, max-content) minmax(0, 1fr);
  gap: 2px 12px;
  margin: 0;
  padding: 0 14px 10px;
  font-size: 12px;
}
dt { color: var(--muted); }
dd { margin: 0; }
.more { padding: 8px 14px; border-top: 1px solid var(--rule); color: var(--muted); }
.more:empty { display: none; }
ol { margin: 0; padding: 0 14px 10px; font-size: 12px; list-style: none; }
ol li { padding: 1px 0; }
time { margin-inline-end: 8px; color: var(--muted); }
.copy { padding: 0 14px 10px; }
textarea {
  width: 100%;
  height: 120px;
  border: 1px solid var(--rule);
  border-radius: 6px;
  background: none;
  color: inherit;
  font: 11px/1.4 ui-monospace, monospace;
}
.spoken { position: absolute; overflow: hidden; width: 1px; height: 1px; clip-path: inset(50%); }
`
