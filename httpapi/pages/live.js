poll(async () => {
  const { body } = await call("stats/live?limit=80");
  const s = body.summary;
  show("figures", figure(s.total_invocations, "calls"), figure((s.success_rate * 100).toFixed(1) + " %", "succeeded"), figure(money(s.avg_price_usd), "average price"),
    figure(money(s.revenue_per_hour_usd), "in the last hour"), figure(s.invocations_1h, "calls in the last hour"), figure(s.p95_latency_ms_24h == null ? "–" : s.p95_latency_ms_24h + " ms", "95th percentile, 24 h"),
    figure(s.open_channels, "open channels"), figure(money(s.outstanding_obligations_usd), s.money === "demo" ? "demo remainders" : "owed to buyers"));
  show("calls", ...body.events.map(callRow));
  $("status").textContent = body.events.length ? "" : "No calls yet.";
}, 3000);
