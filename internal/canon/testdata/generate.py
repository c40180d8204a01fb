"""Writes the golden files beside this script from what CPython itself prints.

    cd internal/canon/testdata && python3 generate.py

numbers.tsv    JSON number token, json.dumps(json.loads(token))
documents.tsv  JSON text, compact and spaced canonical form, each as a JSON string
"""
import json
import random
import struct

random.seed(20261124)
tokens = """0 -0 0.0 -0.0 0e0 -0e-0 1 -1 10 100 1.0 1.50 -1.50 1E5 1e5 1e+5 1.0e0 12e1 0.1e1
0.1 0.2 0.3 0.35 0.4 0.001 0.0001 0.00001 0.000001 1e-4 1e-5 1e-6 1e-7 1.5e-7 -1e-7 9.999e-5 0.00012345
1e15 1e16 1e17 1.5e15 1.5e16 123456789012345.6 1234567890123456.7 9999999999999998.0 9999999999999999.0
1000000000000000.0 10000000000000000.0 100000000000000000000.0 1e20 1e21 1e22 1e23 1e100 1e308
9007199254740991 9007199254740992 9007199254740993 9007199254740993.0 123456789012345678901234567890
-123456789012345678901234567890 1797693134862315708145274237317043567980e269
5e-324 4.9406564584124654e-324 2.4703282292062327e-324 2.4703282292062328e-324 1e-323 2.2250738585072014e-308
2.225073858507201e-308 1.7976931348623157e308 1.7976931348623158e308 1e-400 -1e-400 0.1e-399
123456789.123456789e-3 0.30000000000000004 2.675 1.005 0.045 0.125 0.135 0.575 8100 8100.0 0.41 0.70
179769313486231570000000000000000000000.0""".split()
for _ in range(400):
    f = struct.unpack(">d", random.randbytes(8))[0]
    if f == f and abs(f) != float("inf"):
        tokens += [repr(f), "%.17e" % f]
for _ in range(300):
    tokens.append("%d.%0*d" % (random.randrange(10 ** random.randrange(1, 17)), random.randrange(1, 8), random.randrange(10)))
for _ in range(100):
    tokens.append(str(random.randrange(-10**40, 10**40)))
    tokens.append("%de%d" % (random.randrange(1, 10**9), random.randrange(-330, 299)))
with open("numbers.tsv", "w", encoding="utf-8", newline="\n") as out:
    for t in dict.fromkeys(tokens):
        out.write(t + "\t" + json.dumps(json.loads(t)) + "\n")

documents = [
    "{}", "[]", ' [ ] ', '{"a":{},"b":[]}', '[1,[2,[3]],{"x":null}]', '"\\u0000\\u001f\\u007f\\u0080\\u2028\\u2029"',
    '{"b":1,"a":2,"A":3,"":4,"aa":5,"\\u00e4":6}', '{"\\ud83d\\ude00":1,"\\ufffd":2,"\\ue000":3,"z":4}',
    '"\\/\\"\\\\\\b\\f\\n\\r\\t<>&\'"', '{"\\u0061":1.0,"b":[true,false,null,-0,1E2]}', '"\\u00E9 é 中 😀"',
    '{"tools":[{"price_per_call_usd":0.00001,"name":"x"}],"by_hub":{}}', '"' + "".join("\\u%04x" % c for c in range(0x30)) + '"',
]
letters = ["a", "b", "Z", "0", "é", "中", "😀", "\ue000", "\uffff", "\U0010ffff", '"', "\\", "\n", "\x1f", "\x7f", "\u2028", "/"]

def value(depth):
    kind = random.randrange(8 if depth else 5)
    if kind == 0:
        return random.choice([None, True, False])
    if kind == 1:
        return random.randrange(-10**random.randrange(1, 25), 10**18)
    if kind == 2:
        return random.choice([0.0, 1.0, 1e-5, 0.1, 1e16, random.random(), random.uniform(-1e20, 1e20)])
    if kind <= 4:
        return "".join(random.choices(letters, k=random.randrange(6)))
    if kind == 5:
        return [value(depth - 1) for _ in range(random.randrange(4))]
    return {"".join(random.choices(letters, k=random.randrange(1, 4))): value(depth - 1) for _ in range(random.randrange(8))}

for i in range(150):
    documents.append(json.dumps(value(4), ensure_ascii=i % 2 == 0, indent=random.choice([None, 1])))
documents.append(json.dumps({"".join(random.choices(letters, k=3)): i for i in range(80)}))

with open("documents.tsv", "w", encoding="utf-8", newline="\n") as out:
    for text in documents:
        v = json.loads(text)
        forms = [json.dumps(v, sort_keys=True, ensure_ascii=False, separators=s) for s in ((",", ":"), (", ", ": "))]
        out.write("\t".join(json.dumps(s) for s in [text] + forms) + "\n")
