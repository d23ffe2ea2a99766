"""The waiting page that everybody gets who has not written their own.

It is sent in pieces over one response and needs no script: a stage has passed where its time has come
(`:has(small)`), and the words for a failure are there from the beginning, hidden until one comes. A browser
that is too old for `:has()` shows the same stages with less ornament. `:last-child` is no help: Chromium
matches it only when the list is closed.

There are more than 200 letters to read before the list: WebKit paints a page that still loads from
there on (visualCharacterThreshold).
"""

from __future__ import annotations

BUILT_IN = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{{service}}</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
%3Cpath d='M22 20A11 11 0 0 1 12 4a12 12 0 1 0 16 16 11 11 0 0 1-6 0z' fill='%23d9902f'/%3E%3C/svg%3E">
<style>
:root { --ground: #f5f3ee; --card: #fffefb; --line: #e4dfd4; --text: #24221d; --soft: #6a655a;
  --sun: #b8690a; --glow: #f0b45b; --good: #27734a; --bad: #ab2f2a;
  --shadow: 0 1px 2px #0001, 0 12px 40px #3b2c0d14 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #13151c; --card: #1b1e28; --line: #2d3140; --text: #ece9e2; --soft: #a09e9c;
    --sun: #f0b45b; --glow: #f0b45b; --good: #76c99a; --bad: #f08c84; --shadow: 0 12px 40px #0006 }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif }
main { width: 100%; max-width: 37rem; padding: 2.25rem 2.25rem 1.75rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 1rem; box-shadow: var(--shadow) }
.sky { position: relative; height: 2.75rem; width: 7rem; margin-bottom: 1.5rem; overflow: hidden;
  border-bottom: 2px solid var(--line) }
.sky i { position: absolute; left: 2rem; top: .5rem; width: 3rem; height: 3rem; border-radius: 50%;
  background: var(--glow); animation: rise 2.4s ease-in-out infinite alternate }
@keyframes rise { from { transform: translateY(1.2rem); opacity: .7 } to { transform: none; opacity: 1 } }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.25; font-weight: 650; letter-spacing: -.015em;
  overflow-wrap: anywhere }
p { margin: 0; color: var(--soft) }
ol { list-style: none; margin: 1.5rem 0 0; padding: .75rem 0 0; border-top: 1px solid var(--line) }
ol:empty { display: none }
li { position: relative; padding: .3rem 4.5rem .3rem 1.9rem; overflow-wrap: anywhere }
li::before { position: absolute; left: .25rem; top: .8rem; width: .6rem; height: .6rem; border-radius: 50% }
li:not([class], :has(small))::before { content: ""; background: var(--sun);
  animation: beat 1.2s ease-in-out infinite }
@keyframes beat { 50% { opacity: .25; transform: scale(.7) } }
li:has(small) { color: var(--soft) }
li:has(small)::before, .failed::before { content: "\\2713"; left: .15rem; top: .3rem; color: var(--good);
  font-weight: 700 }
li:has(+ .failed)::before { content: "\\2013"; color: var(--soft) }
.failed::before { content: "\\2715"; color: var(--bad) }
.ready.ready { color: var(--text); font-weight: 600 }
small { position: absolute; right: 0; top: .3rem; font-size: .875rem; line-height: 1.75;
  font-weight: 400; font-variant-numeric: tabular-nums }
.no { display: none }
main:has(.failed) .yes { display: none }
main:has(.failed) .no { display: block }
main:has(.failed) .sky i { animation: none; transform: translateY(1.4rem); background: var(--soft) }
main:has(.ready) .sky i { animation: none }
@media (prefers-reduced-motion: reduce) { *, *::before { animation: none !important } }
@media (max-width: 30rem) { main { padding: 1.5rem 1.25rem 1.25rem } }
</style>
</head>
<body>
<main>
<div class="sky" aria-hidden="true"><i></i></div>
<h1 class="yes">{{service}} is waking up</h1>
<p class="yes">It was asleep because nobody needed it, and it is being started for you now.
There is nothing to do: as soon as it answers, this page gives way to it by itself.
Each step on the way is listed here as it passes.</p>
<h1 class="no">{{service}} did not wake up</h1>
<p class="no">The reason is below. It is tried again by itself.</p>
<ol aria-live="polite" aria-label="Steps">{{stages}}</ol>
</main>
</body>
</html>
"""
