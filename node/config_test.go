package node

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

func TestConfigRefusals(t *testing.T) {
	production := func(c *Config) {
		c.Production, c.Money, c.AllowLocal, c.AdminToken = true, ledger.Off, false, "secret"
	}
	for name, tt := range map[string]struct {
		edit func(*Config)
		want string // part of the error; "" none
	}{
		"a good one":           {func(*Config) {}, ""},
		"listen without port":  {func(c *Config) { c.Listen = "localhost" }, "host:port"},
		"no listen":            {func(c *Config) { c.Listen = "" }, "host:port"},
		"no data folder":       {func(c *Config) { c.DataDir = "" }, "--data"},
		"hub URL of files":     {func(c *Config) { c.HubURL = "file:///etc" }, "http(s)"},
		"hub URL without host": {func(c *Config) { c.HubURL = "http://" }, "http(s)"},
		"hub URL with query":   {func(c *Config) { c.HubURL = "http://hub.example/?a=b" }, "http(s)"},
		"hub URL with part":    {func(c *Config) { c.HubURL = "http://hub.example/#a" }, "http(s)"},
		"hub URL broken":       {func(c *Config) { c.HubURL = "http://a b" }, "http(s)"},
		"unknown money":        {func(c *Config) { c.Money = "gold" }, `"gold" is unknown`},
		"no money":             {func(c *Config) { c.Money = "" }, "is unknown"},
		"production":           {production, ""},
		"production, demo":     {func(c *Config) { production(c); c.Money = ledger.Demo }, "production refuses demo money"},
		"production, local":    {func(c *Config) { production(c); c.AllowLocal = true }, "local addresses"},
		"production, no token": {func(c *Config) { production(c); c.AdminToken = "" }, "AIMARKET_ADMIN_TOKEN"},
		"fee below 0":          {func(c *Config) { c.RoutingFeeBps = -1 }, "routing fee"},
		"fee above all":        {func(c *Config) { c.RoutingFeeBps = 10_001 }, "routing fee"},
		"all as fee":           {func(c *Config) { c.RoutingFeeBps = 10_000 }, ""},
		"trust below 0":        {func(c *Config) { c.MinTrust = -0.1 }, "minimum trust -0.1"},
		"trust above 1":        {func(c *Config) { c.MinTrust = 1.1 }, "minimum trust 1.1"},
		"trust of NaN":         {func(c *Config) { c.MinTrust = math.NaN() }, "minimum trust NaN"},
		"invoke trust of NaN":  {func(c *Config) { c.MinTrustInvoke = math.NaN() }, "to invoke NaN"},
		"invoke trust above 1": {func(c *Config) { c.MinTrustInvoke = 2 }, "to invoke 2"},
		"no channels":          {func(c *Config) { c.MaxOpenChannels = 0 }, "open channels"},
		"negative stake":       {func(c *Config) { c.MinStake = -1 }, "negative"},
		"negative crawl":       {func(c *Config) { c.CrawlInterval = -1 }, "negative"},
		"no timeout":           {func(c *Config) { c.RequestTimeout = 0 }, "request timeout"},
		"timeout of clients":   {func(c *Config) { c.RequestTimeout = MaxRequestTimeout + 1 }, "30 s"},
		"longest timeout":      {func(c *Config) { c.RequestTimeout = MaxRequestTimeout }, ""},
		"factory of nothing":   {func(c *Config) { c.FactoryURL = "nowhere" }, "factory address"},
	} {
		c := testConfig("data")
		tt.edit(&c)
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		if tt.want == "" {
			continue
		}
		if _, err := New(t.Context(), c); err == nil {
			t.Errorf("%s: New accepts what Validate refuses", name)
		}
	}
}

func TestConfigDerivesTheURL(t *testing.T) {
	for _, tt := range []struct{ listen, url, want string }{
		{":9083", "", "http://localhost:9083"},
		{"0.0.0.0:80", "", "http://localhost:80"},
		{"[::]:80", "", "http://localhost:80"},
		{"127.0.0.1:80", "", "http://127.0.0.1:80"},
		{"[::1]:80", "", "http://[::1]:80"},
		{"hub.example:80", "", "http://hub.example:80"},
		{":9083", "https://hub.example/market/", "https://hub.example/market"},
	} {
		c := testConfig("data")
		c.Listen, c.HubURL = tt.listen, tt.url
		got, err := c.complete()
		if err != nil || got.HubURL != tt.want {
			t.Errorf("%s, %q: got %q, %v; want %q", tt.listen, tt.url, got.HubURL, err, tt.want)
		}
		if got.SigningKeyPath != "data/hub_signing_key" || got.patience <= MaxRequestTimeout {
			t.Errorf("key %q, patience %s", got.SigningKeyPath, got.patience)
		}
	}
}

// The slowest call must fit into the time that a stopping hub, and the supervisor
// that stops it (deploy/aimarket.service: 45 s), give it.
func TestPatienceFitsTheSlowestCall(t *testing.T) {
	if shutdownTimeout < MaxRequestTimeout+5*time.Second || shutdownTimeout+adminPatience+settlePatience >= 45*time.Second ||
		answerTimeout <= shutdownTimeout {
		t.Errorf("shutdown %s, call %s, answer %s", shutdownTimeout, MaxRequestTimeout, answerTimeout)
	}
}
