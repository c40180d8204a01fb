async function find() {
  const q = new URLSearchParams({ intent: $("intent").value, limit: "6" });
  const cap = $("budget").value.trim();
  if (cap) q.set("budget", cap);
  const r = await call("search?" + q);
  if (!r.ok) return show("results", problem(r));
  if (!r.body.matches.length) return show("results", el("p", { class: "soft" }, r.body.empty_hint || "Nothing found."));
  show("results", ...r.body.matches.map((m) => card(m, el("a", { href: base + "/widget/demo?capability=" + encodeURIComponent(m.capability_id) }, "Try it"))));
}
$("find").addEventListener("submit", (e) => { e.preventDefault(); find(); });
let wait;
$("intent").addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(find, 250); });
find();
poll(async () => {
  const { body } = await call("stats/live?limit=8");
  const s = body.summary;
  show("figures", figure(s.capabilities_count, "capabilities"), figure(s.peers_count, "peer hubs"), figure(s.total_invocations, "calls delivered and failed"),
    figure((s.success_rate * 100).toFixed(1) + " %", "succeeded"), figure(s.open_channels, "open channels"), figure(s.p50_latency_ms_24h == null ? "–" : s.p50_latency_ms_24h + " ms", "median latency, 24 h"));
  show("calls", ...body.events.map(callRow));
  $("status").textContent = body.events.length ? "" : "No calls yet.";
}, 3000);
