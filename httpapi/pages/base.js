"use strict";
// The hub may be served below a path of its own; a page knows its place by data-path.
const base = (() => {
  const own = document.documentElement.dataset.path.replace(/\/$/, "");
  const here = location.pathname.replace(/\/+$/, "");
  return own && here.endsWith(own) ? here.slice(0, -own.length) : own ? "" : document.title.startsWith("Not found") ? "" : here;
})();
const api = base + "/ai-market/v2";
for (const a of document.querySelectorAll("[data-href]")) {
  a.href = base + a.dataset.href;
  if (a.closest("nav") && a.dataset.href === document.documentElement.dataset.path) a.setAttribute("aria-current", "page");
}
const $ = (id) => document.getElementById(id);

// el builds an element; text is always text, never markup.
function el(tag, attrs, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs || {})) {
    if (k === "on") for (const [name, f] of Object.entries(v)) e.addEventListener(name, f);
    else if (v !== false && v != null) e.setAttribute(k, v === true ? "" : v);
  }
  for (const c of children) if (c != null) e.append(c);
  return e;
}
function show(id, ...children) { const e = typeof id === "string" ? $(id) : id; e.replaceChildren(...children.filter((c) => c != null)); }

async function call(path, options) {
  const r = await fetch(path.startsWith("/") ? path : api + "/" + path, { credentials: "omit", ...options });
  const text = await r.text();
  let body;
  try { body = JSON.parse(text); } catch { body = { error: "not_json", detail: text.slice(0, 200) }; }
  return { ok: r.ok, status: r.status, body, text };
}
const post = (path, body, headers) => call(path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });

function usd(v) {
  if (typeof v !== "number") return "?";
  if (v === 0) return "free";
  return "$" + (v >= 1 ? v.toFixed(2) : String(+v.toFixed(6)));
}
const money = (v) => "$" + (Number.isInteger(v) ? v : +v.toFixed(6));
function ago(t) {
  const s = Math.max(0, (Date.now() - Date.parse(t)) / 1000);
  return s < 60 ? Math.floor(s) + " s ago" : s < 3600 ? Math.floor(s / 60) + " min ago" : s < 86400 ? Math.floor(s / 3600) + " h ago" : Math.floor(s / 86400) + " d ago";
}
const problem = (r) => el("p", { class: "bad", role: "alert" }, (typeof r.body.detail === "string" && r.body.detail) || (Array.isArray(r.body.detail) && r.body.detail.map((d) => d.loc.join(".") + ": " + d.msg).join("; ")) || r.body.error || "The hub answered " + r.status + ".");
const figure = (value, name) => el("div", { class: "figure" }, el("b", {}, String(value)), el("span", {}, name));

function card(m, action) {
  return el("article", { class: "panel card" },
    el("h3", {}, m.name || m.capability_id),
    el("code", {}, m.product_id + " / " + m.capability_id),
    el("p", {}, m.description),
    el("div", { class: "meta" }, el("span", {}, el("b", {}, usd(m.routed_price_usd || m.price_per_call_usd)), " a call"), el("span", {}, m.p50_latency_ms + " ms"),
      el("span", {}, "trust " + m.trust_score.toFixed(2)), m.source_hub !== "local" ? el("span", {}, "at " + (m.source_hub_name || m.source_hub)) : null),
    action || null);
}
function callRow(e) {
  return el("tr", {}, el("td", {}, ago(e.timestamp)), el("td", {}, el("code", {}, e.capability_id)), el("td", {}, e.source_hub), el("td", {}, usd(e.price_usd)),
    el("td", {}, e.latency_ms + " ms"), el("td", { class: e.success ? "good" : "bad" }, e.success ? "delivered" : "failed"));
}
// poll runs f now and again and again while the page is looked at.
function poll(f, ms) {
  const tick = async () => { if (!document.hidden) { try { await f(); } catch (e) { const n = $("status"); if (n) n.textContent = "The hub does not answer."; } } setTimeout(tick, ms); };
  tick();
}
