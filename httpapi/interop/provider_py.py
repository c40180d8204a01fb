"""V: a provider scaffolded by create-aimarket-agent, called by the hub; it is
published, and called without money, by the command line of aimarket-hub (H)."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import httpx
from aimarket_agent import AIMarketAgent

from check import check, done, same

HUB, FREE_HUB, BIN = os.environ["HUB"], os.environ["HUB_FREE"], pathlib.Path(sys.executable).parent
PORT, AIMARKET = os.environ["PROVIDER_PORT"], os.environ["AIMARKET"]
DIR = pathlib.Path("provider").absolute()
TASK = "A generated AIMarket tool capability"
REF = "interop-tool/interop-tool.invoke@v1"


def command(*args, cwd=None, code=0, **env):
    p = subprocess.run([str(a) for a in args], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=60)
    if p.returncode != code:
        raise AssertionError(f"{args[1:]} exits {p.returncode}: {p.stdout}{p.stderr}")
    return p.stdout + p.stderr


def scaffold():
    command(BIN / "create-aimarket-agent", "Interop Tool", "--directory", DIR, "--no-metis")
    manifest = DIR / "capability.json"
    manifest.write_text(manifest.read_text().replace("127.0.0.1:8080", "127.0.0.1:" + PORT))
    command(sys.executable, "configure_provider.py", cwd=DIR)
    assert json.loads(manifest.read_text())["provider_pubkey"]


def start():
    p = subprocess.Popen([sys.executable, "agent.py"], cwd=DIR, env={**os.environ, "PORT": PORT}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/health").is_success:
                return p
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    p.terminate()
    raise AssertionError("the provider does not start")


def publish(code=0):
    return command(BIN / "aimarket", "publish", DIR / "capability.json", "--hub", HUB, code=code, AIMARKET_DB_PATH="hubcli.db")


def stake():
    asked = re.search(r"asks for (\d+)", publish(code=1))
    r = httpx.post(HUB + "/ai-market/v2/supply/stake", json={"publisher_id": "community", "amount_usd": int(asked[1])})
    same(r.status_code, 200)


def call():
    agent = AIMarketAgent(HUB, budget=1.0)
    r = agent.run(TASK)
    same(r["plan"][0]["capability_id"], "interop-tool.invoke@v1")
    return r


def called():
    r = call()
    assert r["ok"], r
    step = r["bill_of_materials"]["results"][0]
    same(step["result"]["received"], {"text": TASK})
    same((step["receipt_verified"], r["total_spent_usd"]), (True, 0.001))


def odd_numbers():
    # What the provider signs and what the hub checks must be the same text.
    given = '{"a":1.0,"b":1e-05,"c":[0.1,1e22,-0.0],"d":"<é>\\u2028","z":12345678901234567890}'
    with httpx.Client(base_url=HUB) as hub:
        ch = hub.post("/ai-market/v2/channel/open", json={"deposit_usd": 1}).json()["channel"]
        r = hub.post("/ai-market/v2/invoke", content='{"capability_id":"interop-tool.invoke@v1","input":' + given + "}",
                     headers={"Content-Type": "application/json", "X-Payment-Channel": ch["channel_id"], "X-Payment-Channel-Secret": ch["channel_secret"]})
        same((r.status_code, r.json().get("detail")), (200, None))
        same(r.json()["result"]["received"], json.loads(given))


def stopped(p):
    p.terminate()
    p.wait(10)
    r = call()
    same(r["bill_of_materials"]["results"][0]["error"], "HTTP 502")
    same(r["bill_of_materials"]["settlement"]["used_usd"], 0)


check("V", "scaffold a provider", scaffold)
provider = check("V", "start it", start)
check("H", "publish: told what stake is missing", stake)
check("H", "publish", lambda: publish())
check("V", "found, called, billed once, signature and receipt good", called)
check("V", "odd numbers and letters survive both signatures", odd_numbers)
if provider:
    check("V", "stopped: 502, nothing billed", lambda: stopped(provider))


def hub_invoke(hub, *want):
    out = command(BIN / "aimarket", "invoke", "aimarket.text/echo@v1", "--input", '{"text":"h"}', AIMARKET_HUB_URL=hub, AIMARKET_DB_PATH="hubcli.db")
    for w in want:
        assert w in out, out


check("H", "invoke without money: 402 shown", lambda: hub_invoke(HUB, "402 Payment Required", '"needed": 0.001'))
check("H", "invoke on a hub without money", lambda: hub_invoke(FREE_HUB, "✓"))
done()
