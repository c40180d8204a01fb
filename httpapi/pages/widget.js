let chosen = null, channel = null, tools = null;
const visitor = (() => {
  let v;
  try { v = localStorage.getItem("aimarket-visitor"); } catch { /* private window */ }
  if (!v || !/^[A-Za-z0-9_-]{8,64}$/.test(v)) {
    v = "w" + Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
    try { localStorage.setItem("aimarket-visitor", v); } catch { /* the trial then counts per page */ }
  }
  return v;
})();

// sample makes an input from a schema: its example, its defaults, or something of the right type.
function sample(schema) {
  if (!schema || typeof schema !== "object") return {};
  if (Array.isArray(schema.examples) && schema.examples.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object" || schema.properties) {
    const need = schema.required || Object.keys(schema.properties || {});
    return Object.fromEntries(Object.entries(schema.properties || {}).filter(([k]) => need.includes(k)).map(([k, s]) => [k, sample(s)]));
  }
  if (type === "array") return [sample(schema.items)];
  if (type === "number" || type === "integer") return schema.minimum ?? 1;
  if (type === "boolean") return true;
  return "hello";
}
async function choose(m) {
  chosen = m;
  $("go").disabled = $("trial").disabled = false;
  show("chosen", el("b", {}, m.capability_id), " costs " + usd(m.routed_price_usd || m.price_per_call_usd) + " a call.");
  if (!tools) tools = (await call("manifest")).body.tools || [];
  const tool = tools.find((t) => t.capability_id === m.capability_id && t.product_id === m.product_id && t.source_hub === m.source_hub);
  $("input").value = JSON.stringify(sample(tool && tool.input_schema), null, 2);
  $("input").focus();
}
async function find() {
  const r = await call("search?" + new URLSearchParams({ intent: $("intent").value, limit: "6" }));
  if (!r.ok) return show("results", problem(r));
  if (!r.body.matches.length) return show("results", el("p", { class: "soft" }, r.body.empty_hint || "Nothing found."));
  show("results", ...r.body.matches.map((m) => card(m, el("button", { class: "quiet", on: { click: () => choose(m) } }, "Choose"))));
  return r.body.matches;
}
function paint() {
  show("channel", el("code", {}, channel.channel_id), " has " + money(channel.balance_usd) + " left of " + money(channel.deposit_usd) + ".");
  $("close").disabled = false;
}
async function open(e) {
  e.preventDefault();
  const r = await post("channel/open", { deposit_usd: Number($("deposit").value) });
  if (!r.ok) return show("channel", problem(r));
  channel = r.body.channel;
  paint();
}

// The signed text of a receipt, with every number as its source text spells it.
function signedText(text, receipt) {
  const token = (name) => { const m = text.match(new RegExp('"' + name + '":(-?[0-9][0-9.eE+-]*)')); return m ? m[1] : "0"; };
  return "nonce:" + receipt.nonce + "|product_id:" + receipt.product_id + "|capability_id:" + receipt.capability_id + "|price_usd:" + token("price_usd") +
    "|timestamp:" + receipt.timestamp + "|success:" + (receipt.success ? 1 : 0) + "|latency_ms:" + token("latency_ms");
}
const bytes = (b64) => Uint8Array.from(atob(b64), (c) => c.charCodeAt(0));
async function checkHere(receipt) {
  if (receipt.signature.version) return null; // this page knows the form of a delivery only
  try {
    const issued = await fetch(api + "/receipts/" + encodeURIComponent(receipt.nonce)).then((r) => r.text());
    const key = await crypto.subtle.importKey("raw", bytes($("key").textContent), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, bytes(receipt.signature.value), new TextEncoder().encode(signedText(issued, receipt)));
  } catch { return null; }
}
async function judge(receipt) {
  const [r, here] = await Promise.all([post("receipts/verify", { receipt }), checkHere(receipt)]);
  const verdict = (ok, who) => el("p", { class: ok === null ? "soft" : ok ? "good" : "bad" }, ok === null ? who + " did not check this one." : (ok ? "✓ valid" : "✗ not valid") + ", says " + who + ".");
  show("receipt", verdict(r.ok && r.body.valid && r.body.signer_matches_live_key, "the hub"), verdict(here, "your browser"), el("pre", {}, JSON.stringify(receipt, null, 2)));
}
async function invoke(headers) {
  let input;
  try { input = JSON.parse($("input").value); } catch (e) { return show("answer", el("p", { class: "bad", role: "alert" }, "The input is not JSON: " + e.message)); }
  show("answer", el("p", { class: "soft" }, "Calling…"));
  const r = await post("invoke", { product_id: chosen.product_id, capability_id: chosen.capability_id, source_hub: chosen.source_hub, input }, headers);
  if (!r.ok) {
    show("answer", problem(r), r.body.category ? el("p", { class: "soft" }, r.body.category + ": " + r.body.reason) : null);
    return r.body.rejection_receipt ? judge(r.body.rejection_receipt) : show("receipt", "A call that was not delivered has no receipt.");
  }
  if (channel && typeof r.body.remaining_balance === "number") { channel.balance_usd = r.body.remaining_balance; paint(); }
  const note = r.body.sandbox ? "A free trial; " + r.body.remaining + " left." : "Charged " + money(r.body.price_usd) + ".";
  show("answer", el("p", {}, note + " It took " + r.body.latency_ms + " ms."), el("pre", {}, JSON.stringify(r.body.result, null, 2)));
  await judge(r.body.receipt);
}
async function close() {
  const r = await post("channel/close", { channel_id: channel.channel_id }, { "X-Payment-Channel-Secret": channel.channel_secret });
  if (!r.ok) return show("settled", problem(r));
  show("settled", el("p", {}, "Settled: " + money(r.body.total_spent_usd) + " spent on " + r.body.invocations + " calls, " + money(r.body.refund_usd) + " refunded."));
  channel = null;
  $("close").disabled = true;
  show("channel", "No channel.");
}
$("find").addEventListener("submit", (e) => { e.preventDefault(); find(); });
$("open").addEventListener("submit", open);
$("close").addEventListener("click", close);
$("invoke").addEventListener("submit", (e) => { e.preventDefault(); invoke(channel ? { "X-Payment-Channel": channel.channel_id, "X-Payment-Channel-Secret": channel.channel_secret } : {}); });
$("trial").addEventListener("click", () => invoke({ "X-AIMarket-Sandbox-Visitor": visitor }));
(async () => {
  const wanted = new URLSearchParams(location.search).get("capability");
  if (wanted) $("intent").value = wanted;
  const matches = await find();
  const hit = wanted && matches && matches.find((m) => m.capability_id === wanted);
  if (hit) choose(hit);
  const q = await call("sandbox/quota?visitor_id=" + visitor);
  if (q.ok && (!q.body.enabled || q.body.remaining === 0)) { $("trial").hidden = true; }
})();
