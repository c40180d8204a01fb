package routing

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

func names(infos []PluginInfo) string {
	var out []string
	for _, p := range infos {
		out = append(out, p.Name)
	}
	return strings.Join(out, " ")
}

func TestAllowList(t *testing.T) {
	load := []PluginConfig{
		{Plugin: prePlugin{scripted: &scripted{name: "aimarket-safety"}}, EntryKey: "safety"},
		{Plugin: prePlugin{scripted: &scripted{name: "provenance"}}, EntryKey: "provenance"},
		{Plugin: prePlugin{scripted: &scripted{name: "aimarket-zk"}}, EntryKey: "zk"},
	}
	for name, tc := range map[string]struct {
		allow []string
		set   bool
		want  string
	}{
		"none given":     {nil, false, "aimarket-safety provenance aimarket-zk"},
		"given, empty":   {nil, true, ""},
		"only commas":    {[]string{"", " ", ""}, true, ""},
		"entry key":      {[]string{" zk "}, true, "aimarket-zk"},
		"plugin name":    {[]string{"aimarket-zk", "aimarket-safety"}, true, "aimarket-safety aimarket-zk"}, // configured order
		"both names":     {[]string{"zk", "aimarket-zk"}, true, "aimarket-zk"},
		"unknown":        {[]string{"nft"}, true, ""},
		"no set flag":    {[]string{"zk"}, false, "aimarket-zk"},
		"no substring":   {[]string{"safe"}, true, ""},
		"case is a name": {[]string{"ZK"}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, withPlugins(load...), func(c *Config) { c.Allow, c.AllowSet = tc.allow, tc.set })
			if got := names(h.Plugins()); got != tc.want {
				t.Errorf("loaded %q, want %q", got, tc.want)
			}
		})
	}
}

func TestPluginNamesAreUnique(t *testing.T) {
	for name, plugins := range map[string][]PluginConfig{
		"twice":   {{Plugin: &scripted{name: "a"}}, {Plugin: &scripted{name: "a"}}},
		"no name": {{Plugin: &scripted{}}},
		"nil":     {{}},
	} {
		h := newHub(t)
		c := h.config
		c.Plugins = plugins
		if r, err := New(t.Context(), c); err == nil {
			r.Close(context.Background())
			t.Errorf("%s: accepted", name)
		}
	}
}

type lifecycle struct {
	*scripted
	startErr error
	info     PluginInfo
}

func (l lifecycle) Info() PluginInfo { i := l.info; i.Name = l.name; return i }
func (l lifecycle) Startup(context.Context) error {
	l.note("start")
	return l.startErr
}
func (l lifecycle) Shutdown(context.Context) error {
	l.note("stop")
	return nil
}
func (l lifecycle) PreCheck(context.Context, *Payload, CallInfo) (Verdict, error) {
	l.note("pre")
	return Verdict{}, nil
}
func (l lifecycle) ManifestExtension() json.RawMessage { return json.RawMessage(`{"on":true}`) }

func TestFailedStartupRemovesAPlugin(t *testing.T) {
	good := lifecycle{scripted: &scripted{name: "good"}, info: PluginInfo{Hooks: []string{"register_routes", "on_shutdown", "made_up"}}}
	bad := lifecycle{scripted: &scripted{name: "bad"}, startErr: errors.New("no table")}
	h := newHub(t, withPlugins(PluginConfig{Plugin: bad}, PluginConfig{Plugin: good}))
	_, v := h.mustInvoke(h.paid())
	if got := v.Get("plugins_checked").Token(); got != "1" {
		t.Errorf("plugins_checked %s", got)
	}
	infos := h.Plugins()
	if len(infos) != 2 || infos[0].Status != "failed" || infos[1].Status != "active" {
		t.Errorf("shown %+v", infos)
	}
	if want := []string{"register_routes", "on_invoke_pre_check", "on_startup", "get_manifest_extension"}; !slices.Equal(infos[1].Hooks, want) {
		t.Errorf("hooks %v, want %v", infos[1].Hooks, want)
	}
	if infos[1].Version != "0.1.0" || infos[1].Category != "uncategorized" {
		t.Errorf("defaults %+v", infos[1])
	}
	if ext := h.PluginExtensions(); len(ext) != 1 || string(ext["good"]) != `{"on":true}` {
		t.Errorf("extensions %v", ext)
	}
	if len(h.Loaded()) != 1 {
		t.Errorf("loaded %v", h.Loaded())
	}
	h.Close(context.Background())
	if got := strings.Join(bad.notes(), " "); got != "start" {
		t.Errorf("the failed plugin saw %q", got)
	}
	if got := strings.Join(good.notes(), " "); got != "start pre stop" {
		t.Errorf("the good plugin saw %q", got)
	}
	h.Router, _ = New(t.Context(), h.config) // for the cleanup
}

// A required plugin that never started must not be the same as one that is not there.
func TestFailedStartupOfARequiredPluginStopsCalls(t *testing.T) {
	bad := lifecycle{scripted: &scripted{name: "bad"}, startErr: errors.New("no table")}
	h := newHub(t, withPlugins(PluginConfig{Plugin: bad, Required: true}))
	h.mustRefuse(h.paid(), PluginUnavailable)
	if h.balance() != deposit {
		t.Error("billed")
	}
}

func TestHookFailures(t *testing.T) {
	hang := func(ctx context.Context, _ *Payload) (Verdict, error) { <-ctx.Done(); return Verdict{}, ctx.Err() }
	fail := map[string]func(context.Context, *Payload) (Verdict, error){
		"error":           func(context.Context, *Payload) (Verdict, error) { return Verdict{}, errors.New("no") },
		"panic":           func(context.Context, *Payload) (Verdict, error) { panic("no") },
		"hang":            hang,
		"replace no JSON": func(context.Context, *Payload) (Verdict, error) { return Verdict{Replace: json.RawMessage(`{`)}, nil },
		"replace a list":  func(context.Context, *Payload) (Verdict, error) { return Verdict{Replace: json.RawMessage(`[]`)}, nil },
	}
	for how, hook := range fail {
		for _, required := range []bool{false, true} {
			for _, stage := range []string{"pre", "post"} {
				t.Run(strings.Join([]string{how, stage, map[bool]string{true: "required", false: "best effort"}[required]}, " "), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						p := funcPlugin{scripted: &scripted{name: "p"}}
						if stage == "pre" {
							p.pre = hook
						} else {
							p.post = hook
						}
						h := newHub(t, withPlugins(PluginConfig{Plugin: p, Required: required}))
						start := time.Now()
						if required {
							h.mustRefuse(h.paid(), PluginUnavailable)
							if h.balance() != deposit {
								t.Errorf("balance %d", h.balance())
							}
						} else {
							h.mustInvoke(h.paid())
						}
						if took := time.Since(start); took > DefaultHookTimeout {
							t.Errorf("a hook held the call for %s", took)
						}
						if n := h.Metrics().HookFailures["p"]; n != 1 {
							t.Errorf("%d failures counted", n)
						}
					})
				})
			}
		}
	}
}

// A hook that ignores its deadline is left behind, and not without end.
func TestHangingPluginIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var started atomic.Int32
		p := funcPlugin{scripted: &scripted{name: "p"}, pre: func(context.Context, *Payload) (Verdict, error) {
			started.Add(1)
			<-gate
			return Verdict{Blocked: true}, nil
		}}
		h := newHub(t, withPlugins(PluginConfig{Plugin: p, Timeout: time.Millisecond}))
		for range maxStuck + 10 {
			h.mustInvoke(h.paid())
		}
		if n := started.Load(); n != maxStuck {
			t.Errorf("%d calls of the plugin were started, want %d", n, maxStuck)
		}
		close(gate)
		synctest.Wait()
		h.mustRefuse(h.paid(), SafetyBlocked) // it is asked again once it recovered
	})
}

func TestHooksRunInConfiguredOrderAndFirstBlockWins(t *testing.T) {
	shared := &scripted{name: "first"}
	replace := funcPlugin{scripted: shared, pre: func(_ context.Context, in *Payload) (Verdict, error) {
		shared.note("first " + string(in.Raw()))
		return Verdict{Replace: json.RawMessage(`{"text":"masked"}`)}, nil
	}}
	second := prePlugin{scripted: &scripted{name: "second"}}
	block := prePlugin{&scripted{name: "third"}, Verdict{Blocked: true, Reason: "third"}}
	last := prePlugin{&scripted{name: "fourth"}, Verdict{Blocked: true, Reason: "fourth"}}
	h := newHub(t, withPlugins(PluginConfig{Plugin: replace}, PluginConfig{Plugin: second}, PluginConfig{Plugin: block}, PluginConfig{Plugin: last}))
	if r := h.mustRefuse(h.paid(), SafetyBlocked); field(r, "blocked_by") != `"third"` {
		t.Errorf("blocked by %s", field(r, "blocked_by"))
	}
	if got := second.notes(); len(got) != 1 || got[0] != "pre echo@v1 text masked" {
		t.Errorf("the second plugin saw %q", got)
	}
	if got := last.notes(); len(got) != 0 {
		t.Errorf("the fourth plugin was asked after a block: %q", got)
	}
}

// A plugin that holds one capability to its own contract cannot be got around by
// naming another product.
func TestPreChecksSeeTheRowThatIsMeant(t *testing.T) {
	p := &contractPlugin{scripted: &scripted{name: "contracts"}}
	h := newHub(t, withPlugins(PluginConfig{Plugin: p, Required: true}))
	c := h.paid()
	h.mustRefuse(c, SafetyBlocked)
	c.ProductID = "guess"
	h.mustRefuse(c, SafetyBlocked)
	c.ProductID, c.Visitor, c.ChannelID = "guess", "visitor-1", ""
	h.mustRefuse(c, SafetyBlocked)
	if q, err := h.SandboxQuota(t.Context(), "visitor-1"); err != nil || q.Used != 0 {
		t.Errorf("quota %+v, %v", q, err)
	}
	c = h.paid()
	c.CapabilityID = "list@v1"
	h.mustInvoke(c)
	if got := strings.Join(p.notes(), ", "); got != "hub/echo@v1, guess/echo@v1, hub/echo@v1, guess/echo@v1, hub/echo@v1, hub/list@v1" {
		t.Errorf("asked about %s", got)
	}
}

type contractPlugin struct{ *scripted }

func (p *contractPlugin) PreCheck(_ context.Context, _ *Payload, c CallInfo) (Verdict, error) {
	p.note(c.ProductID + "/" + c.CapabilityID)
	return Verdict{Blocked: c.ProductID == "hub" && c.CapabilityID == "echo@v1", Reason: "its contract forbids it"}, nil
}

// An observer that is slower than the calls makes them wait, and loses none.
func TestObserversAreNotSkippedWhenTheyLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var heard atomic.Int32
		p := funcPlugin{scripted: &scripted{name: "slow"}, settled: func(Settled) { <-gate; heard.Add(1) }}
		h := newHub(t, withPlugins(PluginConfig{Plugin: p, Timeout: time.Hour}))
		const calls = maxSettledQueue + 3
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() { h.mustInvoke(call1("free@v1", `{}`)) })
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		h.Close(context.Background())
		if n := heard.Load(); n != calls {
			t.Errorf("the observer heard of %d calls, want %d", n, calls)
		}
		h.notifier.tell(Settled{}) // a call that outlives Close must not panic
	})
}

func TestReplacedPayloads(t *testing.T) {
	p := funcPlugin{
		scripted: &scripted{name: "p"},
		pre: func(context.Context, *Payload) (Verdict, error) {
			return Verdict{Replace: json.RawMessage(`{"text":"in"}`)}, nil
		},
		post: func(_ context.Context, out *Payload) (Verdict, error) {
			return Verdict{Replace: json.RawMessage(`{"text":"` + out.Value().Get("text").Str() + ` and out"}`)}, nil
		},
	}
	h := newHub(t, withPlugins(PluginConfig{Plugin: p}))
	_, v := h.mustInvoke(h.paid())
	if got := string(v.Get("result").Raw()); got != `{"text":"in and out"}` || string(v.Get("output").Raw()) != got {
		t.Errorf("result %s", got)
	}
}

func TestQuoteHookLowersThePriceOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		quote   ledger.Money
		charged ledger.Money
		clamped uint64
	}{
		"half": {500, 500, 0}, "free": {0, 0, 0}, "list": {1000, 1000, 0},
		"above list": {1001, 1000, 1}, "negative": {-1, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := funcPlugin{scripted: &scripted{name: "promo"}, quote: func(q Quote) (Quote, error) {
				q.Price, q.List, q.Note = tc.quote, 1, "summer"
				return q, nil
			}}
			h := newHub(t, withPlugins(PluginConfig{Plugin: p}))
			_, v := h.mustInvoke(h.paid())
			if got := deposit - h.balance(); got != tc.charged {
				t.Errorf("charged %d, want %d", got, tc.charged)
			}
			price := string(canon.AppendMicros(nil, int64(tc.charged)))
			if v.Get("price_usd").Token() != price || v.Get("list_price_usd").Token() != "0.001" ||
				v.Get("receipt").Get("price_usd").Token() != price || v.Get("price_note").Str() != "summer" {
				t.Errorf("answer %s", v.Raw())
			}
			if got := h.Metrics().QuotesClamped["promo"]; got != tc.clamped {
				t.Errorf("%d quotes clamped", got)
			}
		})
	}
}

func TestFailedQuoteHook(t *testing.T) {
	p := funcPlugin{scripted: &scripted{name: "promo"}, quote: func(Quote) (Quote, error) { return Quote{}, errors.New("no") }}
	h := newHub(t, withPlugins(PluginConfig{Plugin: p}))
	h.mustInvoke(h.paid())
	if got := deposit - h.balance(); got != echoPrice {
		t.Errorf("charged %d after a failed quote", got)
	}
	h = newHub(t, withPlugins(PluginConfig{Plugin: p, Required: true}))
	h.mustRefuse(h.paid(), PluginUnavailable)
}

// Another way to pay: settled exactly once, with the truth, and never beside the
// channel.
func TestPaymentAuthorizer(t *testing.T) {
	for name, tc := range map[string]struct {
		capability string
		paid       bool
		kind       Kind
		outcome    string
	}{
		"delivered":     {"echo@v1", true, "", "true"},
		"not delivered": {"broken@v1", true, ProviderFailed, "false"},
		"refused input": {"picky@v1", true, InvalidInput, "false"},
		"declined":      {"echo@v1", false, PaymentRequired, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var outcomes []string
			p := funcPlugin{scripted: &scripted{name: "credits"}, pay: func(c map[string]string) (Authorization, error) {
				if c["X-API-Key"] != "aimk_1" {
					t.Errorf("credentials %v", c)
				}
				return Authorization{Paid: tc.paid, Reason: "the account is empty", Settle: func(_ context.Context, delivered bool) error {
					outcomes = append(outcomes, map[bool]string{true: "true", false: "false"}[delivered])
					return nil
				}}, nil
			}}
			h := newHub(t, withPlugins(PluginConfig{Plugin: p}))
			c := call1(tc.capability, `{"text":"hi"}`)
			c.Credentials = map[string]string{"X-API-Key": "aimk_1"}
			if tc.kind == "" {
				c.ChannelID, c.Secret = h.channel.ID, h.secret // must not be charged too
				_, v := h.mustInvoke(c)
				if v.Get("price_usd").Token() != "0.001" || v.Get("remaining_balance").Kind() != canon.Invalid {
					t.Errorf("answer %s", v.Raw())
				}
			} else if r := h.mustRefuse(c, tc.kind); tc.kind == PaymentRequired && !strings.Contains(r.Detail, "the account is empty") {
				t.Errorf("detail %q", r.Detail)
			}
			if got := strings.Join(outcomes, " "); got != tc.outcome {
				t.Errorf("settled with %q, want %q", got, tc.outcome)
			}
			if h.balance() != deposit {
				t.Errorf("the channel was charged too: %d", h.balance())
			}
		})
	}
}

func TestPluginReceipts(t *testing.T) {
	issue := func(name, raw string) PluginConfig {
		return PluginConfig{Plugin: funcPlugin{scripted: &scripted{name: name}, receipt: func(s Settled) (json.RawMessage, error) {
			if s.SettlementStatus != "captured" || s.Status != "succeeded" || s.Price != echoPrice || s.Nonce == "" {
				t.Errorf("settled %+v", s)
			}
			return json.RawMessage(raw), nil
		}}}
	}
	h := newHub(t, withPlugins(issue("provenance", `{"receipt_id":"r1"}`), issue("carbon", `{"g":1.0}`), issue("b", `{}`), issue("broken", `{`), issue("text", `"no"`)))
	_, v := h.mustInvoke(h.paid())
	if string(v.Get("provenance_receipt").Raw()) != `{"receipt_id":"r1"}` || string(v.Get("plugin_receipts").Raw()) != `{"carbon":{"g":1.0},"b":{}}` {
		t.Errorf("answer %s", v.Raw())
	}
}

func TestObserversHearHowCallsEnd(t *testing.T) {
	var got []string
	p := funcPlugin{scripted: &scripted{name: "watch"}, settled: func(s Settled) {
		got = append(got, s.Status+" "+s.SettlementStatus)
	}}
	h := newHub(t, withPlugins(PluginConfig{Plugin: p}))
	h.mustInvoke(h.paid())
	h.mustInvoke(call1("free@v1", `{}`))
	c := h.paid()
	c.CapabilityID = "broken@v1"
	h.mustRefuse(c, ProviderFailed)
	h.mustRefuse(call1("echo@v1", `{}`), PaymentRequired)
	h.Close(context.Background()) // drains the queue
	want := []string{"succeeded captured", "succeeded free", "failed refunded", "failed free"}
	if !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	h.Router, _ = New(t.Context(), h.config)
}

// promptPlugin promises to be quick with small payloads.
type promptPlugin struct{ funcPlugin }

func (promptPlugin) PromptBytes() int { return 64 }

// TestPromptPlugin: a prompt plugin's small checks run where the call runs, which a
// deadline cannot see; its panics are caught all the same, and what is larger than
// it promised for is under the deadline.
func TestPromptPlugin(t *testing.T) {
	large := strings.Repeat("x", 100)
	for _, c := range []struct {
		name, text string
		hook       func(context.Context, *Payload) (Verdict, error)
		deadline   bool // the hook is given one
	}{
		{"small", "hi", nil, false},
		{"small and panics", "hi", func(context.Context, *Payload) (Verdict, error) { panic("no") }, false},
		{"large", large, nil, true},
		{"large and panics", large, func(context.Context, *Payload) (Verdict, error) { panic("no") }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var deadline bool
			p := promptPlugin{funcPlugin{scripted: &scripted{name: "p"}}}
			p.pre = func(ctx context.Context, in *Payload) (Verdict, error) {
				_, deadline = ctx.Deadline()
				if c.hook != nil {
					return c.hook(ctx, in)
				}
				return Verdict{}, nil
			}
			h := newHub(t, withPlugins(PluginConfig{Plugin: p, Required: true}))
			call := h.paid()
			call.Input = parse(`{"text":"` + c.text + `"}`)
			if c.hook == nil {
				h.mustInvoke(call)
			} else {
				h.mustRefuse(call, PluginUnavailable)
				if h.balance() != deposit {
					t.Error("billed")
				}
			}
			if deadline != c.deadline {
				t.Errorf("deadline %v, want %v", deadline, c.deadline)
			}
		})
	}
}
