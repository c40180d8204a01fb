#!/usr/bin/env bash
# An independent libp2p implementation against a hub of this tree: js-libp2p joins the
# mesh, receives a head, verifies it and reads the discovery document over a stream.
# Usage: run.sh PATH/TO/aimarket. Needs node, npm and a package registry.
set -euo pipefail
[ $# -eq 1 ] && [ -x "$1" ] || { echo "usage: $0 PATH/TO/aimarket" >&2; exit 2; }
aimarket=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=${KEEP:-$(mktemp -d)}
mkdir -p "$work"
hub=
cleanup() {
  [ -z "$hub" ] || kill "$hub" 2>/dev/null || true
  wait 2>/dev/null || true
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

echo "installing js-libp2p into $work" >&2
cp "$here"/*.mjs "$work/"
(cd "$work" && { [ -f package.json ] || npm init -y >/dev/null; } && npm install --silent --no-audit --no-fund \
  libp2p@3.3.11 @libp2p/tcp@11.0.28 @chainsafe/libp2p-noise@17.0.0 @chainsafe/libp2p-yamux@8.0.1 @libp2p/gossipsub@17.1.1 \
  @libp2p/identify@4.1.14 @multiformats/multiaddr@13.0.3 multiformats@14.0.5 >&2)

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
AIMARKET_SUPPLY_PUBLISH_PER_HOUR=0 "$aimarket" serve --data "$work/data" --listen "127.0.0.1:$port" --p2p-listen /ip4/127.0.0.1/tcp/0 --no-mdns --allow-local-publish >"$work/hub.log" 2>&1 &
hub=$!
ready() { node -e 'fetch(process.argv[1]).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))' "http://127.0.0.1:$port/readyz"; }
for _ in $(seq 100); do ready && break; kill -0 "$hub" || { cat "$work/hub.log" >&2; exit 2; }; sleep 0.1; done
HUB_ADDR=$(node -e 'fetch(process.argv[1]).then(r => r.json()).then(d => console.log(d.multiaddrs.find(a => a.includes("/tcp/"))))' "http://127.0.0.1:$port/.well-known/ai-market.json")
export HUB_ADDR
echo "joining $HUB_ADDR" >&2

(cd "$work" && node member.mjs) &
member=$!
# A change makes the hub announce itself; it is repeated until the member has joined and heard one.
n=0
while kill -0 "$member" 2>/dev/null; do
  n=$((n + 1))
  node --input-type=module -e '
    const [url, n] = process.argv.slice(1)
    const post = (path, body) => fetch(url + "/ai-market/v2" + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
    await post("/supply/stake", { publisher_id: "interop", amount_usd: 10 })
    const r = await post("/supply/register", { product_id: "interop-" + n, capability_id: "thing@v1", name: "thing", description: "a thing that is announced", invoke_url: "http://127.0.0.1:1/" + n, publisher_id: "interop" })
    if (!r.ok) console.error(r.status, await r.text())
  ' "http://127.0.0.1:$port" "$n" || true
  sleep 2
done
wait "$member" && echo "js-libp2p: all held" || { echo "js-libp2p failed; the hub's log:" >&2; cat "$work/hub.log" >&2; exit 1; }
