"use strict";
/* The table and the sections of the page of an audit. Nothing from the data is ever read as HTML: only as text. */
(() => {
  if (!document.querySelector("#list")) return; // nothing was found

  const VERDICTS = ["holds", "deviates", "undecided", "other", "unreadable", "aside"];
  const VERDICT_WORDS = ["holds the policy", "deviates", "undecided", "not judged", "unreadable", "no adapter"];
  const SEVERITIES = ["note", "warning", "error"];
  const KINDS = { checkpoint: "adapter", training: "training config", source: "Python setup", serving: "serving config", example: "example in a text" };
  const CONFIG = "/adapter_config.json";
  const AHEAD = 8; // rows above and below those in sight
  const PRINTED = 200;
  const MOST_OPTIONS = 200;
  const TAIL = 14; // letters
  const LONGEST_PART = 20;
  const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

  const find = (selector, within = document) => within.querySelector(selector);

  /** An element: attributes that are false are left out, children are elements or text. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== ""));
    return element;
  }

  const name = (text, attributes = {}) => make("bdi", { class: "name", ...attributes }, text);

  /** A name in one line: what doesn't fit is left out in front of its last part, which tells it from others. */
  function clipped(text) {
    const letters = [...text];
    const last = letters.length - letters.lastIndexOf("/");
    const tail = last <= LONGEST_PART ? last : TAIL;
    if (letters.length < 2 * TAIL || RIGHT_TO_LEFT.test(text)) return name(text);
    return make("bdi", { class: "name clipped" }, make("span", {}, letters.slice(0, -tail).join("")), make("span", {}, letters.slice(-tail).join("")));
  }

  const thousands = (count) => count.toLocaleString("en");
  const counted = (count, noun) => `${thousands(count)} ${noun}${count === 1 ? "" : "s"}`;
  const numeric = (text) => (text === "" ? NaN : Number(text));

  // ---- The data: see entries.py for the order of the values.

  const adapters = [];
  const byFile = new Map();

  function site(values, word) {
    const [rank, alpha, scale, deviation, modules, line, state, method, formula, origin, undecided, kind] = values.map(word);
    return { rank, alpha, scale, deviation, modules, line, state, method, formula, origin, undecided, kind };
  }

  /** Factors of two between the scale and the policy's. */
  function off(site) {
    const deviation = numeric(site.deviation);
    if (!(Math.abs(deviation - 1) > 1e-5)) return 0;
    return deviation === 0 ? Infinity : Math.abs(Math.log2(Math.abs(deviation)));
  }

  function adapter(values, words) {
    const word = (at) => words[at];
    const [title, file, verdict, framework, kind, base, content, problem, shown, rows, sites, findings, said] = values;
    const read = {
      at: adapters.length,
      name: title,
      file: file || title + CONFIG,
      verdict,
      framework: word(framework),
      kind: word(kind),
      base: word(base),
      content,
      problem: word(problem),
      rows,
      said,
      sites: sites.map((one) => site(one, word)),
      findings: findings.map(([severity, line, rule, message, file, source]) => (
        { severity, line, rule: word(rule), message: word(message), file: word(file), source: word(source) })),
      text: null,
    };
    read.site = read.sites[shown] || read.sites[0] || site(Array(12).fill(0), () => "");
    read.worst = read.findings.reduce((worst, found) => Math.max(worst, found.severity + 1), 0);
    read.asBad = read.findings.filter((found) => found.severity + 1 === read.worst).length;
    read.off = off(read.site);
    // Names that look alike would share an address.
    read.key = read.file;
    for (let again = 2; byFile.has(read.key); again++) read.key = `${read.file}~${again}`;
    byFile.set(read.key, read);
    return read;
  }

  for (const block of document.querySelectorAll("script.adapters")) {
    const { words, adapters: entries } = JSON.parse(block.textContent);
    for (const values of entries) adapters.push(adapter(values, words));
    block.remove();
  }

  const haystack = (one) => (one.text ??= [one.name, one.file, one.base, one.framework, one.problem, KINDS[one.kind],
    ...one.findings.map((found) => found.rule)].join("\n").toLowerCase());

  // ---- Filters and order, which the address of the page holds: #list?rule=alpha-not-2r&sort=-s

  const COLUMNS = [
    { id: "verdict", title: "verdict", key: (one) => one.verdict },
    { id: "name", title: "adapter", key: (one) => natural(one.name) },
    { id: "base", title: "base model", key: (one) => natural(one.base) || null },
    { id: "framework", title: "framework", key: (one) => one.framework || null },
    { id: "rank", title: "rank", number: true, key: (one) => number(one.site.rank) },
    { id: "alpha", title: "alpha", number: true, key: (one) => number(one.site.alpha) },
    { id: "s", title: "s", number: true, key: (one) => number(one.site.scale) },
    { id: "findings", title: "findings", number: true, key: (one) => one.worst * 1e6 + one.asBad * 1e3 + Math.min(one.off, 999) },
  ];
  const FILTERS = {
    verdict: (value) => (one) => VERDICTS[one.verdict] === value,
    rule: (value) => (one) => one.findings.some((found) => found.rule === value),
    base: (value) => (one) => one.base === value,
    framework: (value) => (one) => one.framework === value,
    s: (value) => (one) => one.sites.some((site) => site.scale === value && site.state === "active"),
  };
  const START = "-findings";

  const natural = (text) => text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));
  const number = (text) => (text === "" ? null : Number(text));

  const keys = new Map();
  const keysOf = (column) => {
    if (!keys.has(column.id)) keys.set(column.id, adapters.map(column.key));
    return keys.get(column.id);
  };

  let state = new Map();
  let shown = []; // adapters, filtered and in order
  let active = 0; // the row that the keyboard is on

  function filtered() {
    const tests = Object.keys(FILTERS).filter((id) => state.has(id)).map((id) => FILTERS[id](state.get(id)));
    const terms = (state.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    return adapters.filter((one) => tests.every((test) => test(one)) && (!terms.length || terms.every((term) => haystack(one).includes(term))));
  }

  function sorted(found) {
    const order = state.get("sort") || START;
    const down = order.startsWith("-");
    const key = keysOf(COLUMNS.find((column) => column.id === order.replace("-", "")) || COLUMNS.at(-1));
    const sign = down ? -1 : 1;
    // What has no value stands at the end in both directions; equal ones stay in the order of the audit.
    return found.sort((one, other) => {
      const a = key[one.at];
      const b = key[other.at];
      if (a === b) return 0;
      if (a === null || b === null) return a === null ? 1 : -1;
      return a < b ? -sign : sign;
    });
  }

  // ---- The table: only the rows in sight exist.

  const scroller = find(".scroller");
  const table = find("table", scroller);
  const body = find("tbody.rows", table);
  const [above, below] = scroller.querySelectorAll("tbody.pad tr");
  const form = find("form.filters");
  const count = find("#list .count");
  let drawn = "";

  const cell = (kind, ...children) => make("td", { role: "cell", class: kind }, ...children);

  function row(one, at) {
    const worst = one.worst ? SEVERITIES[one.worst - 1] : "";
    const others = new Set(one.sites.map((site) => site.scale)).size - 1;
    const milder = one.findings.length - one.asBad;
    const plus = (count, title) => (count > 0 ? make("small", { title }, ` +${count}`) : "");
    const line = make("tr", { role: "row", "aria-rowindex": at + 2, class: at === active ? "active" : false },
      cell("verdict", make("span", { class: `sign sign-${VERDICTS[one.verdict]}`, "aria-hidden": true }), make("span", { class: "words" }, VERDICT_WORDS[one.verdict])),
      make("th", { role: "rowheader", scope: "row", class: "name-cell" }, make("a", { href: address(one), tabindex: at === active ? 0 : -1, title: one.name, "aria-label": one.name }, clipped(one.name))),
      cell("base", one.base ? name(one.base, { title: one.base }) : make("span", { class: "none" }, "–")),
      cell("framework", one.framework || "–"),
      cell("number rank", one.site.rank || "–"),
      cell("number alpha", one.site.alpha || "–"),
      cell("number s", one.site.scale || "–", plus(others, "other sites have another s")),
      cell("number findings", one.findings.length ? make("span", { class: `severity ${worst}` }, counted(one.asBad, worst)) : make("span", { class: "none" }, "none"), plus(milder, "milder findings")));
    // Narrow screens leave columns out.
    [...line.cells].forEach((cell, column) => cell.setAttribute("aria-colindex", column + 1));
    return line;
  }

  const rowHeight = () => parseFloat(getComputedStyle(scroller).getPropertyValue("--row"));
  const headHeight = () => table.tHead.offsetHeight;

  function draw(from, to) {
    const window = `${from} ${to} ${active}`;
    if (window === drawn) return;
    drawn = window;
    const held = body.contains(document.activeElement);
    const height = rowHeight();
    above.style.height = `${from * height}px`;
    below.style.height = `${(shown.length - to) * height}px`;
    body.replaceChildren(...shown.slice(from, to).map((one, at) => row(one, from + at)));
    if (held) (find("tr.active a", body) || scroller).focus({ preventScroll: true });
  }

  function drawInSight() {
    const height = rowHeight();
    const first = Math.floor(scroller.scrollTop / height);
    const last = first + Math.ceil(scroller.clientHeight / height);
    draw(Math.max(0, first - AHEAD), Math.min(shown.length, last + AHEAD));
  }

  function redraw() {
    drawn = "";
    drawInSight();
  }

  function update() {
    shown = sorted(filtered());
    active = 0;
    scroller.scrollTop = 0;
    table.setAttribute("aria-rowcount", shown.length + 1);
    count.textContent = shown.length === adapters.length ? `${thousands(adapters.length)} in all` : `${thousands(shown.length)} of ${thousands(adapters.length)}`;
    scroller.classList.toggle("empty", !shown.length);
    const order = state.get("sort") || START;
    for (const head of table.tHead.rows[0].cells) {
      const id = head.dataset.column;
      head.setAttribute("aria-sort", order === id ? "ascending" : order === `-${id}` ? "descending" : "none");
    }
    redraw();
  }

  /** Put the keyboard on a row, and the row into sight. */
  function go(to) {
    active = Math.max(0, Math.min(shown.length - 1, to));
    const height = rowHeight();
    const room = scroller.clientHeight - headHeight();
    if (active * height < scroller.scrollTop) scroller.scrollTop = active * height;
    else if ((active + 1) * height > scroller.scrollTop + room) scroller.scrollTop = (active + 1) * height - room;
    redraw();
    find("tr.active a", body)?.focus({ preventScroll: true });
  }

  function steer(event) {
    const page = Math.max(1, Math.floor((scroller.clientHeight - headHeight()) / rowHeight()) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey || table.tHead.contains(event.target)) return;
    event.preventDefault();
    go(event.target === scroller && Math.abs(steps[event.key]) === 1 ? active : active + steps[event.key]);
  }

  // ---- The section of an adapter.

  const dialog = find("dialog");
  const article = find("article", dialog);
  let open = null;

  const address = (one) => `#adapter/${encodeURIComponent(one.key)}`;

  const verdictText = (one) => {
    if (one.problem) return `It can't be read: ${one.problem}`;
    const s = one.site;
    if (VERDICTS[one.verdict] === "deviates") {
      const wanted = Number((numeric(s.scale) / numeric(s.deviation)).toPrecision(6));
      return `s is ${s.scale}; the policy wants ${Number.isFinite(wanted) ? wanted : "another"}, so it acts at ${s.deviation} times the strength that is meant.`;
    }
    if (VERDICTS[one.verdict] === "holds") return `s is ${s.scale}, as the policy wants.`;
    if (VERDICTS[one.verdict] === "undecided") {
      const why = one.sites.map((site) => site.undecided).find(Boolean);
      return `The file doesn't settle s${why ? `: ${why}` : ""}.`;
    }
    return VERDICTS[one.verdict] === "aside" ? "It is no adapter; what was found in it is told below." : "No policy speaks of it: it is switched off, is no LoRA, or has its scale in the weights.";
  };

  const part = (term, ...told) => make("div", {}, make("dt", {}, term), make("dd", {}, ...told));

  function facts(one) {
    return make("dl", { class: "facts" },
      part("File", name(one.file)),
      part("Base model", one.base ? name(one.base) : "not named"),
      one.framework ? part("Framework", one.framework) : "",
      one.kind ? part("Kind", KINDS[one.kind] || one.kind) : "",
      one.content ? part("Content (SHA-256)", make("code", {}, `${one.content}…`)) : "");
  }

  function sitesTable(one) {
    const heads = [["line", 1], ["state"], ["method"], ["modules", 1], ["rank", 1], ["alpha", 1], ["formula"], ["s", 1], ["against policy", 1]];
    const line = (site) => make("tr", {},
      make("td", { class: "number" }, site.line || "–"),
      make("td", {}, site.kind === "example" ? "example" : site.state),
      make("td", {}, site.method),
      make("td", { class: "number" }, site.modules || "all"),
      make("td", { class: "number" }, site.rank || "–"),
      make("td", { class: "number" }, site.alpha || "–", site.origin && site.origin !== "written" ? make("small", {}, ` ${site.origin}`) : ""),
      make("td", {}, make("code", {}, site.formula)),
      make("td", { class: "number" }, make("strong", {}, site.scale || "–")),
      make("td", { class: "number" }, site.deviation ? `× ${site.deviation}` : "–"));
    const more = one.rows - one.sites.length; // only an adapter of very many sites has some
    return make("section", {},
      make("h3", {}, counted(one.rows, "site")),
      make("div", { class: "across", tabindex: 0, role: "region", "aria-label": "Sites" },
        make("table", {}, make("caption", { class: "unseen" }, "The groups of layers that share rank and alpha"),
          make("thead", {}, make("tr", {}, ...heads.map(([title, right]) => make("th", { scope: "col", class: right ? "number" : false }, title)))),
          make("tbody", {}, ...one.sites.map(line)))),
      more > 0 ? make("p", { class: "said" }, `and ${thousands(more)} more, which the page leaves out`) : "");
  }

  function quoted(source) {
    const lines = source.split("\n").map((line) => line.split("\t"));
    return make("pre", { class: "source", tabindex: 0 }, ...lines.map(([line, ...text]) =>
      make("span", { class: "line" }, make("span", { class: "at" }, line), make("code", {}, text.join("    ")), "\n")));
  }

  function finding(one, found) {
    const page = document.getElementById(`rule-${found.rule}`);
    const title = page ? find(".rule-title", page).textContent : found.rule;
    const reason = page && find(".reason", page);
    const severity = SEVERITIES[found.severity];
    const place = `${found.file || one.file.split("/").pop()}${found.line ? `, line ${found.line}` : ""}`;
    return make("li", { class: `finding ${severity}` },
      make("h4", {}, make("span", { class: `severity ${severity}` }, severity), " ", title),
      make("p", { class: "message" }, make("bdi", {}, found.message)),
      make("p", { class: "said" }, name(place), make("span", { class: "dot-between" }, " · "), make("code", {}, found.rule)),
      found.source ? quoted(found.source) : "",
      reason ? make("details", {}, make("summary", {}, "Why this matters, and what to do"), make("div", { class: "prose" }, reason.cloneNode(true))) : "");
  }

  function findings(one) {
    const order = [...one.findings].sort((a, b) => b.severity - a.severity);
    return make("section", {}, make("h3", {}, one.said ? counted(one.said, "finding") : "No findings"),
      make("ol", { class: "found" }, ...order.map((found) => finding(one, found))),
      one.said > order.length ? make("p", { class: "said" }, `and ${thousands(one.said - order.length)} more, which the page leaves out`) : "");
  }

  function show(one) {
    open = one;
    const at = shown.indexOf(one);
    find(".previous", dialog).disabled = at <= 0;
    find(".next", dialog).disabled = at < 0 || at === shown.length - 1;
    dialog.setAttribute("aria-label", one.name);
    article.replaceChildren(
      make("p", { class: "eyebrow" }, make("span", { class: `sign sign-${VERDICTS[one.verdict]}`, "aria-hidden": true }), VERDICT_WORDS[one.verdict]),
      make("h2", { class: "title", tabindex: -1 }, name(one.name)),
      make("p", { class: "verdict-text" }, make("bdi", {}, verdictText(one))),
      facts(one),
      one.sites.length ? sitesTable(one) : "",
      findings(one));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    find(".title", dialog).focus({ preventScroll: true });
  }

  function step(by) {
    const at = shown.indexOf(open) + by;
    if (!shown[at]) return;
    active = at;
    history.replaceState(null, "", address(shown[at]));
    show(shown[at]);
  }

  function closed() {
    const at = shown.indexOf(open);
    open = null;
    if (location.hash.startsWith("#adapter/")) history.replaceState(null, "", listAddress());
    if (at >= 0) {
      find("#list").scrollIntoView({ block: "nearest" });
      go(at);
    }
  }

  /** On paper stands the section that is open, else the whole page with the first rows of the table. */
  function print() {
    if (open) find(".paper").replaceChildren(...[...article.children].map((part) => part.cloneNode(true)));
    draw(0, Math.min(shown.length, PRINTED));
  }

  // ---- The address.

  function listAddress() {
    const query = new URLSearchParams([...state].filter(([, value]) => value !== null)).toString();
    return query ? `#list?${query}` : "#list";
  }

  function remember() {
    history.replaceState(null, "", listAddress());
  }

  function follow() {
    const hash = location.hash;
    if (hash.startsWith("#adapter/")) {
      let file = "";
      try {
        file = decodeURIComponent(hash.slice("#adapter/".length));
      } catch {
        // An address that somebody typed.
      }
      const one = byFile.get(file);
      if (one) show(one);
      return;
    }
    if (dialog.open) dialog.close();
    if (hash !== "#list" && !hash.startsWith("#list?")) return;
    state = new Map(new URLSearchParams(hash.slice("#list?".length)));
    fill();
    update();
    find("#list").scrollIntoView();
    find("#list-title").focus({ preventScroll: true });
  }

  // ---- The controls.

  function options(select, counts, all, label = (value) => value) {
    const known = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_OPTIONS);
    if (select.name === "s") known.sort((a, b) => Number(a[0]) - Number(b[0]));
    if (select.name === "verdict") known.sort((a, b) => VERDICTS.indexOf(a[0]) - VERDICTS.indexOf(b[0]));
    select.replaceChildren(make("option", { value: "*" }, all),
      ...known.map(([value, count]) => make("option", { value }, `${label(value)} (${thousands(count)})`)));
  }

  function tally(values) {
    const counts = new Map();
    for (const one of adapters) for (const value of new Set(values(one))) counts.set(value, (counts.get(value) || 0) + 1);
    return counts;
  }

  function prepare() {
    const short = (text) => (text.length > 48 ? `…${text.slice(-47)}` : text) || "not named";
    options(form.verdict, tally((one) => [VERDICTS[one.verdict]]), "any", (value) => VERDICT_WORDS[VERDICTS.indexOf(value)]);
    options(form.rule, tally((one) => one.findings.map((found) => found.rule)), "any");
    options(form.base, tally((one) => [one.base]), "any", short);
    options(form.framework, tally((one) => [one.framework].filter(Boolean)), "any");
    options(form.s, tally((one) => one.sites.filter((site) => site.state === "active" && site.scale).map((site) => site.scale)), "any");
    table.tHead.rows[0].append(...COLUMNS.map((column, at) => make("th", { role: "columnheader", "aria-colindex": at + 1, scope: "col", class: `${column.number ? "number " : ""}head-${column.id}`, "data-column": column.id },
      make("button", { type: "button" }, column.title))));
    form.hidden = scroller.hidden = false;
    find(".without-script").remove();
  }

  /** Let the controls say what the state is. */
  function fill() {
    form.q.value = state.get("q") || "";
    for (const id of Object.keys(FILTERS)) {
      const select = form[id];
      const value = state.has(id) ? state.get(id) : "*";
      if (![...select.options].some((option) => option.value === value)) select.append(make("option", { value }, value));
      select.value = value;
    }
  }

  function take() {
    const sort = state.get("sort");
    state = new Map(Object.keys(FILTERS).map((id) => [id, form[id].value]).filter(([, value]) => value !== "*"));
    if (form.q.value.trim()) state.set("q", form.q.value.trim());
    if (sort) state.set("sort", sort);
    update();
    remember();
  }

  function sortBy(id) {
    const order = state.get("sort") || START;
    state.set("sort", order === id ? `-${id}` : order === `-${id}` ? id : id === "findings" ? `-${id}` : id);
    update();
    remember();
  }

  prepare();
  form.addEventListener("input", take);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    state.clear();
    fill();
    update();
    remember();
  });
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (head) sortBy(head.dataset.column);
  });
  scroller.addEventListener("scroll", drawInSight, { passive: true });
  scroller.addEventListener("keydown", steer);
  body.addEventListener("click", (event) => {
    const line = event.target.closest("tr");
    if (!line || window.getSelection().toString()) return;
    active = Number(line.getAttribute("aria-rowindex")) - 2;
    if (!event.target.closest("a")) location.hash = address(shown[active]);
  });
  find(".close", dialog).addEventListener("click", () => dialog.close());
  find(".previous", dialog).addEventListener("click", () => step(-1));
  find(".next", dialog).addEventListener("click", () => step(1));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", closed);
  window.addEventListener("hashchange", follow);
  window.addEventListener("resize", redraw);
  window.addEventListener("beforeprint", print);
  window.addEventListener("afterprint", () => {
    find(".paper").replaceChildren();
    redraw();
  });
  fill();
  update();
  follow();

  // What the first search and the first orders need is made while nobody waits for it.
  const idle = window.requestIdleCallback || setTimeout;
  const ahead = [() => adapters.forEach(haystack), ...COLUMNS.map((column) => () => keysOf(column))];
  const warm = () => {
    ahead.shift()();
    if (ahead.length) idle(warm);
  };
  idle(warm);
})();
