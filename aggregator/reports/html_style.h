// The look of a report's page: light, dark and paper; from 360 pixels to a wide desk. Plain CSS,
// nothing fetched.
#pragma once

#include <string_view>

namespace faultline {

constexpr std::string_view kReportStyle = R"(
:root{color-scheme:light dark;--ink:#16202e;--soft:#5a677a;--faint:#8a95a6;--paper:#f3f5f8;--card:#fff;--line:#e2e7ee;
--accent:#2556c8;--good:#17845a;--good-bg:#e3f5ec;--warning:#9a5b00;--warning-bg:#fdf0d8;--warning-fill:#e9a23b;
--bad:#bf2a20;--bad-bg:#fde6e4;--bad-fill:#dc4b41;--unknown:#6a5aa8;--unknown-bg:#edeafa;--unknown-fill:#a79ddb;
--good-fill:#58b98c;--none-fill:#dfe4eb;--shadow:0 1px 2px rgba(20,30,50,.06)}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9f1;--soft:#9aa7b9;--faint:#717d90;--paper:#0e131b;--card:#161d28;--line:#283243;
--accent:#86abff;--good:#58cf9a;--good-bg:#12332a;--warning:#f3b95c;--warning-bg:#3a2a0e;--warning-fill:#c98a2b;
--bad:#ff8a80;--bad-bg:#421b1a;--bad-fill:#d2574d;--unknown:#b8adf0;--unknown-bg:#272246;--unknown-fill:#7669b5;
--good-fill:#2f8f67;--none-fill:#28313f;--shadow:none}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
font-variant-numeric:tabular-nums}
main{max-width:76rem;margin:0 auto;padding:0 1.25rem 4rem}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
header{border-top:6px solid var(--none-fill);background:var(--card);box-shadow:var(--shadow);margin-bottom:1.25rem}
header>div{max-width:76rem;margin:0 auto;padding:1.4rem 1.25rem 1.2rem}
header.good{border-color:var(--good-fill)}header.warning{border-color:var(--warning-fill)}header.bad{border-color:var(--bad-fill)}
header.unknown{border-color:var(--unknown-fill)}
.kicker{color:var(--soft);font-size:.8rem;letter-spacing:.04em;display:flex;justify-content:space-between;gap:1rem;flex-wrap:wrap}
h1{font-size:1.75rem;line-height:1.2;margin:.25rem 0 .35rem;overflow-wrap:anywhere}
.verdict{font-size:1.12rem;margin:0;max-width:60rem;overflow-wrap:anywhere}
.verdict b{margin-right:.5rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:0 0 1.25rem;padding:0;list-style:none}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.7rem .9rem;box-shadow:var(--shadow);
border-top:3px solid var(--none-fill)}
.tiles li.good{border-top-color:var(--good-fill)}.tiles li.warning{border-top-color:var(--warning-fill)}
.tiles li.bad{border-top-color:var(--bad-fill)}.tiles li.unknown{border-top-color:var(--unknown-fill)}
.tiles a{color:inherit;display:block}.tiles a:hover{text-decoration:none}
.tiles span{display:block;color:var(--soft);font-size:.8rem}
.tiles strong{display:block;font-size:1.6rem;line-height:1.25;font-weight:650}
.tiles li.bad strong{color:var(--bad)}.tiles li.warning strong{color:var(--warning)}.tiles li.unknown strong{color:var(--unknown)}
.tiles small{color:var(--soft);font-size:.78rem;display:block;overflow-wrap:anywhere}
section,details.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem 1.15rem 1.1rem;margin:0 0 1rem;
box-shadow:var(--shadow)}
h2{font-size:1.06rem;margin:0 0 .2rem;display:flex;align-items:center;gap:.55rem}
h2::before{content:"";width:.6rem;height:.6rem;border-radius:50%;background:var(--none-fill);flex:none}
.good>h2::before,.good>summary h2::before{background:var(--good-fill)}.warning>h2::before,.warning>summary h2::before{background:var(--warning-fill)}
.bad>h2::before,.bad>summary h2::before{background:var(--bad-fill)}.unknown>h2::before,.unknown>summary h2::before{background:var(--unknown-fill)}
summary{cursor:pointer;list-style:none}summary::-webkit-details-marker{display:none}
summary h2::after{content:"+";margin-left:auto;color:var(--faint);font-weight:400;font-size:1.2rem;line-height:1}
details[open]>summary h2::after{content:"–"}
.lead{margin:0 0 .7rem;color:var(--soft);font-size:.92rem}
.lead:last-child{margin-bottom:0}summary .lead{margin:0}details[open] summary .lead{margin-bottom:.7rem}
ol.steps{margin:.4rem 0 .1rem;padding-left:1.5rem}ol.steps li{margin:.35rem 0;padding-left:.2rem;overflow-wrap:anywhere}
.note{display:block;color:var(--soft);font-size:.86rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.15rem 1.25rem;margin:0 0 .5rem;font-size:.92rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;color:var(--faint);font-weight:600;font-size:.76rem;letter-spacing:.03em;padding:.2rem .9rem .35rem 0;border-bottom:1px solid var(--line)}
td{padding:.45rem .9rem .45rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}td:last-child,th:last-child{padding-right:0}
td.wide{min-width:11rem;vertical-align:middle}td.badged{width:7rem}
.badge{display:inline-block;border-radius:99px;padding:.05rem .55rem;font-size:.78rem;font-weight:600;white-space:nowrap;line-height:1.5}
.badge.good{color:var(--good);background:var(--good-bg)}.badge.warning{color:var(--warning);background:var(--warning-bg)}
.badge.bad{color:var(--bad);background:var(--bad-bg)}.badge.unknown{color:var(--unknown);background:var(--unknown-bg)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:1rem 1.4rem}
figure{margin:0}figcaption{display:flex;justify-content:space-between;gap:.6rem;font-size:.86rem;margin-bottom:.15rem}
figcaption b{font-weight:650}
svg{display:block;width:100%}svg.chart{height:auto}svg.strip{height:14px;border-radius:3px}
.chart .grid{stroke:var(--line);stroke-width:1;fill:none}.chart .line{fill:none;stroke:var(--accent);stroke-width:1.6;
stroke-linejoin:round;vector-effect:non-scaling-stroke}.chart .area{fill:var(--accent);opacity:.12}
.chart .band{fill:var(--bad-fill);opacity:.22}.chart text{fill:var(--faint);font-size:9.5px}.chart .end{text-anchor:end}
rect.good{fill:var(--good-fill)}rect.warning{fill:var(--warning-fill)}rect.bad{fill:var(--bad-fill)}
rect.unknown{fill:var(--unknown-fill)}rect.none{fill:var(--none-fill)}
footer{color:var(--faint);font-size:.8rem;margin-top:1.5rem}code{font:.82rem ui-monospace,Menlo,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.legend{display:flex;gap:.2rem 1rem;flex-wrap:wrap;color:var(--soft);font-size:.78rem;margin:.1rem 0 .6rem}
.legend i{display:inline-block;width:.75rem;height:.75rem;border-radius:2px;margin-right:.35rem;vertical-align:-1px}
i.good{background:var(--good-fill)}i.warning{background:var(--warning-fill)}i.bad{background:var(--bad-fill)}
i.unknown{background:var(--unknown-fill)}i.none{background:var(--none-fill)}
@media (max-width:44rem){main{padding:0 .7rem 3rem}header>div{padding:1.1rem .9rem}h1{font-size:1.4rem}.verdict{font-size:1.02rem}
section,details.card{padding:.85rem .85rem .9rem;border-radius:9px}
.tiles{grid-template-columns:1fr 1fr;gap:.5rem;margin-bottom:.9rem}.tiles strong{font-size:1.35rem}.tiles li{padding:.55rem .7rem}
thead{display:none}table,tbody{display:block}tr{display:flex;flex-wrap:wrap;gap:.15rem .7rem;align-items:baseline;padding:.55rem 0;border-bottom:1px solid var(--line)}
tr:last-child{border-bottom:0}td{border:0;padding:0;font-size:.88rem;max-width:100%}td:empty{display:none}
td[data-l]::before{content:attr(data-l) " ";color:var(--faint);font-size:.78rem}
td.main{flex:1 0 calc(100% - 7.5rem);font-size:.94rem}td[data-l] .note{display:inline;margin-left:.4rem;font-size:.8rem}td.main::before,td.badged::before{display:none}td.wide{flex:1 0 100%;padding:.15rem 0}td.wide::before{display:none}
dl{grid-template-columns:minmax(6rem,38%) 1fr;gap:.15rem .8rem}}
@media print{:root{--paper:#fff;--shadow:none}body{font-size:11px}main,header>div{max-width:none;padding-left:0;padding-right:0}
section,details.card,.tiles li{break-inside:avoid;box-shadow:none}section.long{break-inside:auto}tr,figure{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}summary h2::after{display:none}
details::details-content{content-visibility:visible;display:block}a{color:inherit}}
)";

}  // namespace faultline
