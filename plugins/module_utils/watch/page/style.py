# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The style sheet of the page: light, dark, narrow and printed. Text keeps a contrast of at least 4.5 to 1."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--bg:#f6f5f2;--card:#fff;--ink:#1b1c1e;--soft:#575a60;--line:#d9d7d1;--track:#eceae5;
--good:#17643a;--good-bg:#def2e5;--warning:#744700;--warning-bg:#fceccb;--critical:#9c1717;--critical-bg:#fde3e0;
--info:#1d4f86;--info-bg:#e1ecf9;--none:#4d4f55;--none-bg:#e6e5e2;--accent:#2f5f9e}
@media (prefers-color-scheme:dark){:root{--bg:#121315;--card:#1b1d20;--ink:#ebeae7;--soft:#a8abb2;--line:#34373c;
--track:#2a2d31;--good:#86dba8;--good-bg:#15331f;--warning:#f4c66d;--warning-bg:#382909;--critical:#ffa59c;
--critical-bg:#4a1716;--info:#a3c8f7;--info-bg:#182d48;--none:#c3c5ca;--none-bg:#2f3236;--accent:#8db8f0}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"DejaVu Sans",
sans-serif}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem 1rem;
z-index:2}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.75rem;padding-bottom:.5rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .4rem;letter-spacing:-.01em}
h2{font-size:1.35rem;margin:0;letter-spacing:-.01em}
h3{font-size:1.05rem;margin:1.6rem 0 .6rem}
h4{font-size:.95rem;margin:1.3rem 0 .5rem;color:var(--soft);font-weight:600}
p{margin:.3rem 0}
h1,h2,h3,h4,p,summary,caption,small,strong{overflow-wrap:anywhere}
.soft{color:var(--soft)}
code,.path{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.86em;
overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.8rem;list-style:none;padding:0;
margin:1rem 0 2rem;align-items:start}
.cards a{display:block;background:var(--card);border:1px solid var(--line);
border-top:4px solid var(--none);
border-radius:10px;padding:.8rem 1rem;color:inherit;text-decoration:none}
.cards a:hover strong{text-decoration:underline}
.cards a.good{border-top-color:var(--good)}.cards a.warning{border-top-color:var(--warning)}
.cards a.critical{border-top-color:var(--critical)}
.cards strong{display:block;font-size:1.1rem;overflow-wrap:anywhere}
.cards .worst{margin-top:.5rem;font-size:.9rem;overflow-wrap:anywhere;display:-webkit-box;-webkit-line-clamp:3;
-webkit-box-orient:vertical;overflow:hidden}
.cards .stacks{margin-top:.5rem;font-size:.9rem;color:var(--soft);overflow-wrap:anywhere}
.host{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.2rem 1.3rem 1.5rem;
margin:0 0 1.5rem;
scroll-margin-top:1rem}
.head h2{min-width:0}.port{display:block;white-space:nowrap}
.head{display:flex;flex-wrap:wrap;gap:.4rem .8rem;align-items:center}
.chip{display:inline-flex;align-items:center;gap:.35em;border-radius:999px;padding:.08em .65em .08em .2em;
font-size:.84rem;
font-weight:600;line-height:1.6;white-space:nowrap;max-width:100%}
.sign{display:inline-grid;place-items:center;width:1.4em;height:1.4em;border-radius:50%;font-size:.76em;font-weight:800;
line-height:1;background:var(--c);color:var(--card)}
.chip{color:var(--c)}
.chip.good{--c:var(--good);background:var(--good-bg)}.chip.warning{--c:var(--warning);background:var(--warning-bg)}
.chip.critical{--c:var(--critical);background:var(--critical-bg)}.chip.info{--c:var(--info);background:var(--info-bg)}
.chip.none{--c:var(--none);background:var(--none-bg)}
.findings{list-style:none;padding:0;margin:.9rem 0 0}
.findings li{border-left:4px solid var(--none);padding:.5rem 0 .55rem .8rem;margin:0 0 .7rem;
background:linear-gradient(
90deg,var(--bg),transparent 60%)}
.findings li.critical{border-color:var(--critical)}.findings li.warning{border-color:var(--warning)}
.findings li.info{border-color:var(--info)}
.findings .chip{vertical-align:middle}
.fix{display:block;background:var(--track);border-radius:6px;padding:.35rem .6rem;margin-top:.35rem}
.fix::before{content:"$ ";color:var(--soft)}.fix.words::before{content:none}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;color:var(--soft);font-size:.9rem;font-weight:600;padding:0 0 .35rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--soft);font-weight:600;font-size:.84rem;white-space:nowrap}
tbody th{font-weight:600;overflow-wrap:anywhere}
td{overflow-wrap:anywhere}
.mounts{display:grid;gap:.6rem;margin:0;padding:0;list-style:none}
.mount{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,7fr);align-items:stretch}
.source{border:1.5px solid var(--line);border-radius:8px;padding:.45rem .7rem;background:var(--bg);align-self:center}
.source small,.target small{display:block;color:var(--soft);font-size:.8rem}
.targets{list-style:none;margin:0;padding:0;display:grid;gap:.4rem}
.target{--c:var(--good);display:grid;grid-template-columns:3.2rem minmax(0,1fr);align-items:center}
.target.critical{--c:var(--critical)}.target.warning,.target.none{--c:var(--warning)}
.arrow{height:0;border-top:2.5px solid var(--c);position:relative}
.arrow::after{content:"";position:absolute;right:0;top:-6.5px;border:5px solid transparent;
border-left:8px solid var(--c)}
.target.critical .arrow,.target.warning .arrow,.target.none .arrow{border-top-style:dashed}
.inside{border:1.5px solid var(--c);border-radius:8px;padding:.45rem .7rem;display:flex;flex-wrap:wrap;gap:.2rem .7rem;
align-items:center;justify-content:space-between}
.calendar{width:auto;border-spacing:4px;border-collapse:separate}
.calendar th{border:0;padding:0;text-align:center;font-size:.78rem;font-weight:600}
.calendar td{width:2.9rem;height:2.5rem;border:0;border-radius:7px;padding:.15rem .35rem;font-size:.8rem;
line-height:1.15;
background:var(--track);color:var(--soft)}
.calendar td.good{background:var(--good-bg);color:var(--good)}.calendar td.critical{background:var(--critical-bg);
color:var(--critical)}
.calendar td.rehearsed{box-shadow:inset 0 0 0 2px var(--good)}
.calendar td.lost{box-shadow:inset 0 0 0 2px var(--critical)}
.calendar td.ahead{background:transparent}
.calendar b{display:block;font-size:.95rem;line-height:1}
.calendar caption{white-space:nowrap}.calendar .first{font-size:.72rem;white-space:nowrap}
.note{margin-top:1rem}.legend{font-size:.85rem;color:var(--soft);margin-top:.4rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr));gap:1rem}
figure{margin:0}figcaption{font-size:.9rem;margin-bottom:.3rem;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:10px system-ui,sans-serif;fill:var(--soft)}
.grid{stroke:var(--line);stroke-width:1}.area{fill:var(--info-bg)}.used{fill:none;stroke:var(--accent);stroke-width:2}
.full{stroke:var(--critical);stroke-width:1.5}.ahead-line{fill:none;stroke:var(--accent);stroke-width:2;
stroke-dasharray:5 4}.bar{fill:var(--accent)}
details{margin:.5rem 0}summary{cursor:pointer;font-weight:600;padding:.25rem 0}
del{color:var(--critical);text-decoration:none}ins{color:var(--good);text-decoration:none}
.hide{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
footer{padding-top:.5rem;padding-bottom:2.5rem;font-size:.9rem;color:var(--soft)}
@media (max-width:40rem){body{font-size:15px}header,main,footer{padding-left:.8rem;padding-right:.8rem}
.host{padding:1rem .9rem 1.2rem}.mount{grid-template-columns:1fr}.target{grid-template-columns:1.6rem minmax(0,1fr)}
.targets{margin-top:.4rem}.calendar{width:100%;table-layout:fixed;border-spacing:3px}
.calendar td{width:auto;padding:.15rem .2rem}.calendar caption{white-space:normal}
.services thead,.history thead,.facts thead{position:absolute;width:1px;height:1px;overflow:hidden;
clip-path:inset(50%)}
.services tr,.history tr,.facts tr{display:block;border-top:1px solid var(--line);padding:.45rem 0}
.services th,.services td,.history th,.history td,.facts th,.facts td{display:block;border:0;padding:.05rem 0}
.port{display:inline;white-space:normal;margin-right:.6em}
.services td:empty,.history td:empty,.facts td:empty{display:none}
.services td::before,.history td::before,.facts td::before{content:attr(data-label) ": ";color:var(--soft)}}
@media print{:root{color-scheme:light;--bg:#fff;--card:#fff}body{font-size:11pt}.skip{display:none}
.host{border:0;padding:0;break-before:page}.chip,.calendar td,.fix,.cards a{-webkit-print-color-adjust:exact;
print-color-adjust:exact}.findings li,.mount,figure,tr{break-inside:avoid}.scroll{overflow:visible}
details::details-content{content-visibility:visible;height:auto}}
"""
