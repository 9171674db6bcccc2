"use strict";
(() => {
  const STEP = 2000, KEPT = 90, TIMEOUT = 10000;
  const body = document.body, root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const state = $("state"), pause = $("pause"), of = $("of"), filter = $("filter");
  const rows = new Map(), history = [];
  let paused = false, timer = 0, busy = false, last = null, failed = 0;

  // The forms in which the server writes numbers, and the same ones here.
  const SCALE = ["", " k", " M", " G", " T"];
  const scaled = (n, base) => {
    let at = 0;
    while (n >= base * 10 && at < 4) { n /= base; at += 1; }
    return Math.floor(n) + SCALE[at];
  };
  const span = (s) => {
    if (s < 0) return "never";
    const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
    const at = Math.max(0, units.findIndex(([size], i) => s >= size || i === 3));
    const [size, unit] = units[at], next = units[at + 1];
    const rest = next ? Math.floor((s % size) / next[0]) : 0;
    return Math.floor(s / size) + unit + (rest ? " " + rest + next[1] : "");
  };
  const FORMS = { n: (v) => scaled(v, 1000), b: (v) => scaled(v, 1024) + "B", t: span };
  const spell = (form, value) =>
    value === undefined ? "" : typeof value === "number" ? (FORMS[form] || String)(value) : value;

  const kind = (status) =>
    /^UP$|^OPEN|^no check/.test(status) ? "up"
      : /^DOWN/.test(status) ? "down"
      : /^(MAINT|PAUSED|STOP)/.test(status) ? "off" : "warn";

  const say = (text, style) => {
    if (state.textContent !== text) state.textContent = text;
    state.className = "state " + style;
  };

  const key = (row) => row.iid + "." + row.type + "." + row.sid;

  const read = (json) => json.map((fields) => {
    const row = {};
    for (const one of fields) row[one.field.name] = one.value.value;
    return row;
  });

  const show = (all) => {
    const news = [];
    for (const row of all) {
      const line = rows.get(key(row));
      if (!line) continue;
      for (const cell of line.cells) {
        const value = row[cell.dataset.f];
        const text = spell(cell.dataset.u, value);
        if (cell.textContent !== text) cell.textContent = text;
        if (cell.dataset.h !== undefined) cell.classList.toggle("hot", value > 0);
      }
      if (line.status !== row.status) {
        const name = row.pxname + (row.type === 2 ? "/" + row.svname : "");
        news.push(name + " is " + row.status);
        line.status = row.status;
        line.row.classList.remove("s-up", "s-down", "s-off", "s-warn");
        line.row.classList.add("s-" + kind(row.status));
      }
    }
    if (news.length) {
      const more = news.length > 5 ? " and " + (news.length - 5) + " more" : "";
      $("news").textContent = clock() + ": " + news.slice(0, 5).join(", ") + more;
    }
  };

  // What the charts show of one answer, for all proxies ("") and for each: counters here,
  // differences in `points`. Rows are not kept, there may be ten thousand of them.
  const digest = (all) => {
    const zero = () => ({ rate: 0, errors: 0, queue: 0, time: 0, weight: 0 });
    const by = { "": zero() }, fronts = new Set();
    for (const row of all) if (row.type === 0) fronts.add(row.iid);
    for (const row of all) {
      if (row.type > 1) continue;
      const own = by[row.iid] = by[row.iid] || zero(), front = fronts.has(row.iid);
      for (const [one, counts, failures] of [
        [by[""], row.type === 0, row.mode === "tcp"],
        [own, row.type === (front ? 0 : 1), row.mode === "tcp" || !front],
      ]) {
        if (counts) {
          one.rate += row.mode === "tcp" ? row.rate : row.req_rate ?? row.rate;
          one.errors += (row.hrsp_5xx || 0) + (row.ereq || 0);
        }
        if (row.type !== 1) continue;
        if (failures) one.errors += row.econ + row.eresp;
        one.queue += row.qcur;
        one.time += row.ttime * (row.rate + 0.001);
        one.weight += row.rate + 0.001;
      }
    }
    for (const one of Object.values(by)) one.time /= one.weight || 1;
    return { at: Date.now(), by };
  };

  const points = (what) => history.map((reading, at) => {
    const one = reading && reading.by[of.value];
    if (!one || what !== "errors") return one ? one[what] : null;
    const before = history[at - 1], past = before && before.by[of.value];
    const seconds = past ? Math.max(0.5, (reading.at - before.at) / 1000) : 1;
    return past ? Math.max(0, one.errors - past.errors) / seconds : 0;
  });

  const NS = "http://www.w3.org/2000/svg";
  const path = (svg, name) => {
    const found = svg.querySelector("." + name);
    if (found) return found;
    const made = document.createElementNS(NS, "path");
    made.setAttribute("class", name);
    return svg.appendChild(made);
  };

  const draw = () => {
    for (const figure of document.querySelectorAll("[data-chart]")) {
      const values = points(figure.dataset.chart);
      const known = values.filter((v) => v !== null);
      const most = Math.max(1, ...known), now = values[values.length - 1];
      const svg = figure.querySelector("svg"), step = 240 / (Math.max(20, values.length) - 1);
      let line = "", area = "", open = -1;
      const close = (x) => { if (open >= 0) area += "L" + x + " 56L" + open + " 56Z"; open = -1; };
      values.forEach((value, at) => {
        const x = (240 - (values.length - 1 - at) * step).toFixed(1);
        if (value === null) return close(x);
        const y = (53 - 49 * value / most).toFixed(1);
        line += (open < 0 ? "M" : "L") + x + " " + y;
        area += open < 0 ? "M" + x + " " + y : "L" + x + " " + y;
        if (open < 0) open = x;
      });
      close(240);
      path(svg, "area").setAttribute("d", area);
      path(svg, "line").setAttribute("d", line);
      const text = now === null || now === undefined ? "–"
        : now < 10 && now % 1 ? now.toFixed(1) : scaled(now, 1000);
      figure.querySelector("output").textContent = text;
      const name = figure.querySelector("figcaption").textContent;
      svg.setAttribute("aria-label", name + ": now " + text + ", at most " + Math.round(most)
        + " in the last " + known.length + " readings");
    }
  };

  const keep = (reading) => {
    history.push(reading);
    if (history.length > KEPT) history.shift();
    draw();
  };

  const up = $("up"), start = performance.now();
  const clock = () => new Date().toLocaleTimeString();

  // One reading; the next follows when this one is over, later if it was a long one.
  const look = async () => {
    if (busy) return;
    busy = true;
    clearTimeout(timer);
    const began = performance.now(), stop = new AbortController();
    const limit = setTimeout(() => stop.abort(), TIMEOUT);
    try {
      const answer = await fetch(body.dataset.live, { cache: "no-store", signal: stop.signal });
      if (!answer.ok) throw new Error(answer.status === 401 || answer.status === 403
        ? "not allowed any more: load the page again" : "answered " + answer.status);
      const all = read(await answer.json());
      failed = 0;
      last = clock();
      root.classList.remove("lost-data");
      show(all);
      up.textContent = span(Math.floor(+up.dataset.s + (performance.now() - start) / 1000));
      keep(digest(all));
      say(paused ? "Paused at " + last : "Live", paused ? "paused" : "");
    } catch (error) {
      failed += 1;
      root.classList.add("lost-data");
      const why = error.name === "AbortError" ? "no answer in time"
        : error instanceof TypeError ? "no connection" : error.message;
      say("Lost: " + why + (last ? "; numbers are of " + last : ""), "lost");
      keep(null);
    } finally {
      clearTimeout(limit);
      busy = false;
      const took = performance.now() - began;
      const wait = Math.max(STEP, took * 10) * Math.min(5, 1 + failed);
      if (!paused) timer = setTimeout(look, wait);
    }
  };

  const setPaused = (on) => {
    paused = on;
    pause.setAttribute("aria-pressed", String(on));
    if (on) {
      clearTimeout(timer);
      say("Paused" + (last ? " at " + last : ""), "paused");
    } else look();
  };

  const RESULTS = {
    DONE: "Done", NONE: "Nothing has changed", PART: "Done in part: a server is not known",
    ERRP: "Not done: a parameter is wrong", EXCD: "Not done: too many servers at once",
    DENY: "Denied",
  };

  const act = async (button) => {
    const line = button.closest("tr"), form = button.closest("form");
    const server = line.querySelector("[name=s]").value;
    const sent = new URLSearchParams({ s: server, action: button.value, b: form.elements.b.value });
    button.disabled = true;
    try {
      const answer = await fetch(body.dataset.post, { method: "POST", body: sent });
      const code = (/;st=([A-Z]+)/.exec(answer.url) || [])[1];
      if (answer.body) answer.body.cancel();
      $("news").textContent = server + ": " + (RESULTS[code] || "answered " + answer.status);
      $("news").classList.remove("quiet");
      $("news").classList.add("note");
    } catch {
      $("news").textContent = server + ": no connection, nothing may have changed";
    }
    button.disabled = false;
    button.focus();
    look();
  };

  const sift = () => {
    const wanted = filter.value.toLowerCase();
    for (const article of document.querySelectorAll("article")) {
      const own = article.dataset.name.toLowerCase().includes(wanted);
      let any = own;
      for (const line of article.querySelectorAll("tbody tr")) {
        const fits = own || line.dataset.name.toLowerCase().includes(wanted);
        line.hidden = !fits;
        any = any || fits;
      }
      article.hidden = !any;
    }
  };

  const go = (by) => {
    const all = [...document.querySelectorAll("article:not([hidden])")];
    const at = all.findIndex((one) => one.contains(document.activeElement));
    const to = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    if (to) to.focus();
  };

  for (const line of document.querySelectorAll("tbody tr")) {
    const status = line.querySelector("[data-f=status]");
    rows.set(line.dataset.k, {
      row: line, status: status && status.textContent, cells: [...line.querySelectorAll("[data-f]")],
    });
    if (line.querySelector("[name=s]")) {
      const acts = line.querySelector(".do");
      for (const [value, text] of [["ready", "Ready"], ["drain", "Drain"], ["maint", "Maint"]]) {
        const button = document.createElement("button");
        button.type = "button";
        button.value = value;
        button.textContent = text;
        button.setAttribute("aria-label", text + " " + line.dataset.name);
        button.addEventListener("click", () => act(button));
        acts.append(button);
      }
    }
  }
  for (const article of document.querySelectorAll("article")) {
    const option = new Option(article.dataset.name + " (" + article.dataset.kind + ")", article.dataset.iid);
    of.append(option);
  }
  for (const box of document.querySelectorAll("[data-all]")) {
    box.addEventListener("change", () => {
      for (const one of box.closest("form").querySelectorAll("tr:not([hidden]) [name=s]")) one.checked = box.checked;
    });
  }

  pause.addEventListener("click", () => setPaused(!paused));
  $("again").addEventListener("click", look);
  of.addEventListener("change", draw);
  filter.addEventListener("input", sift);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) look(); });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)
      && event.target.type !== "checkbox";
    if (event.key === "Escape" && event.target === filter) {
      filter.value = "";
      sift();
      filter.blur();
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      p: () => setPaused(!paused), r: look, j: () => go(1), k: () => go(-1),
      "/": () => filter.focus(), "?": () => { $("help").open = !$("help").open; $("help").firstElementChild.focus(); },
    }[event.key];
    if (does) {
      event.preventDefault();
      does();
    }
  });

  root.classList.add("on");
  look();
})();
