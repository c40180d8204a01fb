"""One line per check, counted; see README.md."""
import sys
import traceback

_failed = 0


def check(client, name, run):
    """Runs one check, prints its line and returns what the check returned."""
    global _failed
    try:
        value = run()
    except Exception as exc:
        _failed += 1
        where = traceback.extract_tb(exc.__traceback__)[-1]
        text = " ".join(f"{type(exc).__name__} {exc}".split())[:400]
        print(f"FAIL  {client}  {name}: {text} (line {where.lineno}: {where.line})", flush=True)
        return None
    print(f"ok    {client}  {name}", flush=True)
    return value


def same(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


def raises(kind, run):
    """The exception of that kind, which run has to raise."""
    try:
        run()
    except kind as exc:
        return exc
    raise AssertionError(f"no {kind.__name__}")


def done():
    sys.exit(1 if _failed else 0)
