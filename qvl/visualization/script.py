"""The script of a gallery: search, filters, order, labels that make room for each other, and enlarged pictures."""

from __future__ import annotations

from typing import Final

__all__ = ["SCRIPT"]

_FILTERS: Final = r"""
"use strict";
const $ = id => document.getElementById(id), all = (query, from = document) => [...from.querySelectorAll(query)];
const main = document.querySelector("main"), listed = all("section", main), dialog = document.querySelector("dialog");
const plain = text => text.normalize("NFKC").toLowerCase();
const texts = new Map();
const textOf = card => texts.get(card) ?? (texts.set(card, plain(card.textContent)), texts.get(card));
const selects = all("#tools select").filter(box => /^[fg]\d+$/.test(box.id));
const links = new Map(all("nav a").map(link => [link.getAttribute("href"), link]));

function suits(card, words, kept, wanted) {
  for (const box of kept) if (!card.dataset[box.id].split("\n").includes(box.value)) return false;
  for (const word of words) {
    const without = word.length > 1 && word[0] === "-";
    if (textOf(card).includes(without ? word.slice(1) : word) === without) return false;
  }
  if (!wanted.length) {
    if (card.dataset.dimmed) for (const part of all(".dim", card)) part.classList.remove("dim");
    delete card.dataset.dimmed;
    return true;
  }
  let found = false;
  card.dataset.dimmed = "1";
  for (const panel of all(".panel", card)) for (const item of all("li", panel)) {
    const fits = wanted.every(box => item.dataset[box.id] === box.value);
    for (const part of all(`[data-n="${item.dataset.n}"]`, panel)) part.classList.toggle("dim", !fits);
    found ||= fits;
  }
  return found;
}

function filter() {
  const words = plain($("search").value).split(/\s+/).filter(Boolean);
  const chosen = selects.filter(box => box.value), wanted = chosen.filter(box => box.id[0] === "f");
  const kept = chosen.filter(box => box.id[0] === "g");
  let count = 0;
  for (const card of listed) {
    card.hidden = !suits(card, words, kept, wanted);
    count += !card.hidden;
    links.get("#" + card.id)?.toggleAttribute("hidden", card.hidden);
  }
  for (const chip of all("[data-select]")) {
    chip.classList.toggle("chosen", $(chip.dataset.select)?.value === chip.value);
  }
  $("count").textContent = `${count} of ${listed.length}`;
  $("none").hidden = count > 0;
  for (const figure of all("section:not([hidden]) figure")) if (figure.dataset.placed) place(figure);
}

function sort() {
  const [index, downwards] = $("order").value.split(",").map(Number), name = "o" + index;
  const key = card => (downwards ? -1 : 1) * Number(card.dataset[name]);
  const known = listed.filter(card => name in card.dataset).sort((a, b) => key(a) - key(b));
  main.append(...($("order").value === "" ? listed : [...known, ...listed.filter(card => !(name in card.dataset))]));
}

function relabel() {
  document.body.dataset.labels = $("labels").value;
  document.body.classList.toggle("bare", !$("shapes").checked);
  for (const figure of all("figure")) if (figure.dataset.placed) place(figure);
}

function clear() {
  for (const box of [...selects, $("search")]) box.value = "";
  filter();
}

$("search").oninput = filter;
for (const box of selects) box.onchange = filter;
for (const chip of all("[data-select]")) chip.onclick = () => {
  const box = $(chip.dataset.select);
  if (!box) return;  // all cards have the value
  box.value = box.value === chip.value ? "" : chip.value;
  filter();
};
if ($("order")) $("order").onchange = sort;
$("labels").onchange = $("shapes").onchange = relabel;
$("clear").onclick = clear;
"""

_LABELS: Final = r"""
function place(figure) {
  const width = figure.clientWidth, height = figure.clientHeight;
  if (!width) return;
  figure.dataset.placed = "1";
  const tags = all(".tag", figure).filter(tag => !tag.classList.contains("dim"));
  const isAuto = document.body.dataset.labels === "auto";
  for (const tag of tags) tag.classList.remove("short", "hid");
  const sizeOf = tag => { const box = tag.getBoundingClientRect(); return [box.width, box.height]; };
  const long = tags.map(sizeOf);
  for (const tag of tags) tag.classList.add("short");
  const short = tags.map(sizeOf);
  const isCrowded = long.reduce((sum, [w, h]) => sum + w * h, 0) > 0.15 * width * height;
  const taken = [];
  const isFree = r => !taken.some(o => r[0] < o[2] && o[0] < r[2] && r[1] < o[3] && o[1] < r[3]);
  tags.forEach((tag, index) => {
    const points = tag.dataset.at.split(" ").map(point => point.split(",").map(Number));
    const sizes = isAuto && isCrowded ? [short[index]] : [long[index], short[index]];
    let spot = null, last = null;
    for (const size of sizes) {
      const rectangles = places(points, size, width, height);
      spot = rectangles.find(isFree);
      last = [spot ?? rectangles[0], size];
      if (spot) break;
    }
    const [rectangle, size] = last;
    if (spot || !isAuto) taken.push(rectangle);
    tag.classList.toggle("short", size === short[index]);
    tag.classList.toggle("hid", isAuto && !spot);
    tag.style.left = rectangle[0] + "px";
    tag.style.top = rectangle[1] + "px";
  });
}
function places(points, [w, h], width, height) {
  return [[0, -h], [0, 0], [-w, -h], [-w, 0]].flatMap(([dx, dy]) => points.map(([x, y]) => {
    const left = Math.max(0, Math.min(x / 100 * width + dx, width - w));
    const top = Math.max(0, Math.min(y / 100 * height + dy, height - h));
    return [left, top, left + w, top + h];
  }));
}
const sizes = new ResizeObserver(entries => { for (const entry of entries) place(entry.target); });
for (const figure of all("figure")) sizes.observe(figure);

document.onmouseover = event => {
  for (const old of all(".on")) old.classList.remove("on");
  const part = event.target.closest?.("[data-n]"), home = part?.closest(".panel, #stage");
  if (!home) return;
  for (const twin of all(`[data-n="${part.dataset.n}"]`, home)) twin.classList.add("on");
};
"""

_ZOOM: Final = r"""
let shown = null, scale = 1;
function show(figure) {
  shown = figure;
  const copy = figure.cloneNode(true), stage = $("stage");
  delete copy.dataset.placed;
  for (const image of all("image", copy)) image.removeAttribute("id");
  const panel = figure.closest(".panel"), card = figure.closest("section");
  copy.classList.toggle("exact", panel.classList.contains("exact"));
  $("zoomed").textContent = `${card.querySelector("h2 a").textContent}  ${panel.querySelector("h3").textContent}`;
  stage.replaceChildren(copy);
  if (!dialog.open) dialog.showModal();
  const ratio = Number(copy.style.getPropertyValue("--r"));
  copy.dataset.fit = Math.min(stage.clientWidth, stage.clientHeight * ratio);
  resize(1, 0, 0);
  sizes.observe(copy);
}
function resize(factor, x, y) {
  const stage = $("stage"), copy = stage.firstChild;
  if (!copy) return;
  const before = scale, left = stage.scrollLeft + x, top = stage.scrollTop + y;
  scale = factor === 1 ? 1 : Math.min(Math.max(scale * factor, 1), 32);
  copy.style.width = copy.dataset.fit * scale + "px";
  stage.scrollTo(left * scale / before - x, top * scale / before - y);
}
function step(by) {
  const figures = all("section:not([hidden]) figure");
  const next = figures[figures.indexOf(shown) + by];
  if (next) { show(next); next.closest("section").scrollIntoView({block: "nearest"}); }
}
main.onclick = event => { const figure = event.target.closest("figure"); if (figure) show(figure); };
$("close").onclick = () => dialog.close();
dialog.onclose = () => $("stage").replaceChildren();
$("stage").onwheel = event => {
  event.preventDefault();
  const box = $("stage").getBoundingClientRect();
  resize(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - box.left, event.clientY - box.top);
};
$("stage").onpointermove = event => {
  if (event.buttons === 1) $("stage").scrollBy(-event.movementX, -event.movementY);
};
document.onkeydown = event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.("input[type=search], select");
  if (dialog.open) {
    const by = {ArrowRight: 1, ArrowLeft: -1}[event.key], factor = {"+": 1.5, "=": 1.5, "-": 1 / 1.5}[event.key];
    if (by) { event.preventDefault(); step(by); }
    if (factor) resize(factor, $("stage").clientWidth / 2, $("stage").clientHeight / 2);
  } else if (event.key === "Escape") {
    clear();
    document.activeElement.blur();
  }
  if (typing) return;
  if (event.key === "/" && !dialog.open) { event.preventDefault(); $("search").focus(); }
  if (event.key === "s") { $("shapes").checked = !$("shapes").checked; relabel(); }
  if (event.key === "l") { $("labels").selectedIndex = ($("labels").selectedIndex + 1) % 4; relabel(); }
};
"""

SCRIPT: Final = _FILTERS + _LABELS + _ZOOM + "filter();\n"
"""Self-contained; it adds no markup from text and asks for nothing."""
