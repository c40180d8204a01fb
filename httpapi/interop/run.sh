#!/usr/bin/env bash
# The published clients against a hub of this tree. Usage: run.sh PATH/TO/aimarket
# See README.md for what is installed, and for RUST, LATEST and KEEP.
set -euo pipefail

[ $# -eq 1 ] && [ -x "$1" ] || { echo "usage: $0 PATH/TO/aimarket" >&2; exit 2; }
AIMARKET=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=${KEEP:-$(mktemp -d)}
mkdir -p "$work/py" "$work/js"
pids=()
cleanup() {
  for p in "${pids[@]:-}"; do [ -z "$p" ] || kill "$p" 2>/dev/null || true; done
  wait 2>/dev/null || true
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

at() { [ -n "${LATEST:-}" ] && echo "$1" || echo "$1$2$3"; }
find_python() { for p in python3.13 python3.12 python3.11 python3; do "$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$p"; return; }; done; echo "no Python 3.11 or newer" >&2; exit 2; }

echo "installing the clients into $work" >&2
(cd "$work/js" && { [ -f package.json ] || npm init -y >/dev/null; } && npm install --silent --no-audit --no-fund "$(at @aimarket/agent @ 0.2.1)" >&2)
[ -x "$work/venv/bin/python" ] || "$(find_python)" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  "$(at aimarket-agent == 2.6.0)" "$(at aimarket-bridges == 0.2.0)" "$(at aimarket-mcp == 0.6.3)" \
  "$(at create-aimarket-agent == 0.1.0)" "$(at aimarket-hub == 3.16.0)" langchain-core fastapi uvicorn >&2
cp "$here"/*.mjs "$work/js/"
cp "$here"/*.py "$work/py/"
python=$work/venv/bin/python

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# hub NAME FLAG...: starts a hub with a fresh data folder and leaves its URL in url.
hub() {
  local name=$1 port i
  shift
  port=$(free_port)
  rm -rf "$work/$name"
  AIMARKET_INVOKE_RATE_PER_MIN=0 AIMARKET_CHANNEL_RATE_PER_MIN=0 "$AIMARKET" serve --data "$work/$name" --listen "127.0.0.1:$port" --no-mdns "$@" >"$work/$name.log" 2>&1 &
  pids+=($!)
  url=http://127.0.0.1:$port
  for i in $(seq 100); do
    "$python" -c "import urllib.request; urllib.request.urlopen('$url/readyz')" 2>/dev/null && return
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  echo "the hub $name is not ready; its log:" >&2
  cat "$work/$name.log" >&2
  exit 2
}
hub demo --allow-local-publish; HUB=$url
hub free --money off; HUB_FREE=$url
PROVIDER_PORT=$(free_port)
export AIMARKET HUB HUB_FREE PROVIDER_PORT

"$python" -m pip list --disable-pip-version-check 2>/dev/null | awk '/^(create-)?aimarket/ {print "#     " $1 " " $2}'
echo "#     @aimarket/agent $(node -p "require('$work/js/node_modules/@aimarket/agent/package.json').version")"
bad=0
(cd "$work/js" && node client_ts.mjs) || bad=1
for script in client_py client_bridges client_mcp provider_py; do
  (cd "$work/py" && rm -rf provider && "$python" -W ignore "$script.py" 2>"$work/$script.err") || { bad=1; tail -5 "$work/$script.err" >&2; }
done
if [ -n "${RUST:-}" ]; then
  cp -r "$here/rust" "$work/"
  (cd "$work/rust" && cargo run --quiet) || bad=1
fi
for p in "${pids[@]}"; do kill -0 "$p" 2>/dev/null || { echo "FAIL  -  a hub died during the checks"; bad=1; }; done
[ $bad = 0 ] && echo "all checks passed" || echo "some checks FAILED"
exit $bad
