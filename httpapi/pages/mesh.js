const drawn = 120; // more hubs than this are only counted and listed
const listed = 300;
const svg = (tag, attrs, ...children) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
  e.append(...children);
  return e;
};
const stateOf = (p) => p.status === "key_mismatch" ? "mismatch" : p.status === "pending" ? "pending" : p.away || p.route_status === "stale" ? "stale" : "active";
const stateText = (p) => p.status === "key_mismatch" ? "key changed" : p.status === "pending" ? "pending" : p.away ? "active, away" : p.route_status === "stale" ? "active, stale" : "active";
const linkText = (l) => !l || !l.connected ? "–" : l.relayed ? "through a relay" : "direct";
const latencyText = (l) => l && l.connected && l.latency_ms > 0 ? (l.latency_ms < 10 ? l.latency_ms.toFixed(1) : Math.round(l.latency_ms)) + " ms" : "–";

// A hub keeps its direction from one picture to the next: it comes from its URL.
function direction(url) {
  let h = 2166136261;
  for (const c of url) h = Math.imul(h ^ c.codePointAt(0), 16777619);
  return (h >>> 0) / 4294967296;
}
// far is 0 for the fastest link and 1 for none: 1 ms, 10, 100 and 1000 are even steps.
const far = (l) => !l || !l.connected ? 1 : Math.min(.9, .15 + Math.max(0, Math.log10(l.latency_ms || 1)) * .25);

function picture(hubs) {
  const order = hubs.slice(0, drawn).sort((a, b) => direction(a.url) - direction(b.url));
  const lines = [], dots = [];
  order.forEach((p, i) => {
    const angle = 2 * Math.PI * (i + .5) / order.length - Math.PI / 2, d = .3 + .65 * far(p.link);
    const x = (Math.cos(angle) * 90 * d).toFixed(2), y = (Math.sin(angle) * 54 * d).toFixed(2), r = (1.4 + 3 * (p.trust_score || 0)).toFixed(2);
    if (p.link && p.link.connected) lines.push(svg("line", { x1: 0, y1: 0, x2: x, y2: y, class: p.link.relayed ? "relayed" : "direct" }));
    dots.push(svg("circle", { cx: x, cy: y, r, class: stateOf(p) }, svg("title", {}, (p.name || p.url) + " – " + stateText(p) + (p.link && p.link.connected ? ", " + latencyText(p.link) : ""))));
    if (order.length <= 24) dots.push(svg("text", { x, y: (+y + +r + 3).toFixed(2) }, (p.name || p.url).slice(0, 18)));
  });
  $("map").replaceChildren($("map").firstElementChild, ...lines, ...dots, svg("circle", { cx: 0, cy: 0, r: 4.5, class: "own" }), svg("text", { x: 0, y: 8.5 }, "this hub"));
}
const hubRow = (p) => el("tr", {}, el("td", {}, p.name || "", p.name ? el("br") : null, el("code", {}, p.url.length > 44 ? p.url.slice(0, 43) + "…" : p.url)),
  el("td", { class: stateOf(p) === "active" ? "good" : stateOf(p) === "mismatch" ? "bad" : "soft" }, stateText(p)),
  el("td", {}, typeof p.trust_score === "number" ? p.trust_score.toFixed(2) : "–"), el("td", {}, linkText(p.link)), el("td", {}, latencyText(p.link)),
  el("td", {}, p.last_seen || p.last_crawl ? ago(p.last_seen || p.last_crawl) : "never"), el("td", { title: p.discoverer }, p.discoverer.length > 20 ? p.discoverer.slice(0, 19) + "…" : p.discoverer), el("td", { class: "wrap" }, p.why));

poll(async () => {
  const { ok, body } = await call("federation/peers");
  if (!ok) throw new Error(body.detail);
  const hubs = [...body.peers, ...body.pending];
  const linked = hubs.filter((p) => p.link && p.link.connected), fast = linked.map((p) => p.link.latency_ms).filter((ms) => ms > 0).sort((a, b) => a - b);
  show("figures", figure(body.peers.filter((p) => p.status === "active").length, "active hubs"), figure(linked.length, "connected"), figure(body.pending_count, "wait to be admitted"),
    figure(fast.length ? fast[fast.length >> 1].toFixed(1) + " ms" : "–", "median latency"), figure(body.admission, "admission"));
  picture(hubs);
  show("hubs", ...hubs.slice(0, listed).map(hubRow));
  $("status").textContent = !hubs.length ? "This hub knows no other hub yet." : hubs.length > listed ? "and " + (hubs.length - listed) + " more" : "";
}, 3000);
