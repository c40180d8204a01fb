package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/node"
)

// settings are the values a hub can be told, each by flag, environment, file or
// default, in that order. The environment names are the reference hub's where it
// has one, so that an operator can move over.
type settings struct {
	Data           string `help:"Folder for the database, the key and the admin socket." default:"./data" env:"AIMARKET_DATA" type:"path" group:"hub"`
	Listen         string `help:"Address of the public HTTP API." default:":9083" env:"AIMARKET_LISTEN" placeholder:"HOST:PORT" group:"hub"`
	AdminListen    string `help:"Address of pprof, metrics and backup: 'unix' is a socket in the data folder, 'off' none, or HOST:PORT on loopback." default:"unix" env:"AIMARKET_ADMIN_LISTEN" group:"hub"`
	HubURL         string `help:"URL by which others reach this hub; derived from --listen if empty." env:"AIMARKET_HUB_URL" placeholder:"URL" group:"hub"`
	HubName        string `help:"Name shown to people." default:"AIMarket Hub" env:"AIMARKET_HUB_NAME" group:"hub"`
	SigningKeyPath string `help:"File of the hub's Ed25519 key; made on first start." env:"AIMARKET_SIGNING_KEY_PATH" type:"path" placeholder:"FILE" group:"hub"`
	AcceptNewKey   bool   `help:"Start although the key file is not the one this data folder belongs to; needed once when a key is lost." env:"AIMARKET_ACCEPT_NEW_KEY" group:"hub"`
	Production     bool   `help:"Refuse everything that only a test network may have." env:"AIMARKET_PRODUCTION,AIFACTORY_PROD" group:"hub"`
	SkipSeed       bool   `help:"List no built-in capabilities." env:"AIMARKET_SKIP_SEED" group:"hub"`
	LogLevel       string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"AIMARKET_LOG_LEVEL" group:"hub"`
	LogFormat      string `help:"text for people, json for machines." enum:"text,json" default:"text" env:"AIMARKET_LOG_FORMAT" group:"hub"`

	Money           string   `help:"demo: channels are credited from nothing, for trying things. off: every call is free." default:"demo" enum:"demo,off" env:"AIMARKET_MONEY" group:"money"`
	RoutingFeeBps   int      `help:"Fee for routing a call to another hub, in basis points." default:"100" env:"AIMARKET_ROUTING_FEE_BPS" group:"money"`
	MaxOpenChannels int      `help:"Most channels open at once." default:"10000" env:"AIMARKET_MAX_OPEN_CHANNELS" group:"money"`
	HoldReapAfter   seconds  `help:"Age in seconds at which a forgotten hold goes back to its channel; 0 never." default:"86400" env:"AIMARKET_CHANNEL_HOLD_REAP_AFTER_SECS" group:"money"`
	PaymentChains   []string `help:"Chains named in the discovery document." default:"base" env:"AIMARKET_PAYMENT_CHAINS,AIMARKET_PAYMENT_CHAIN" group:"money"`
	PaymentTokens   []string `help:"Tokens named in the discovery document." default:"USDT,USDC" env:"AIMARKET_PAYMENT_TOKENS,AIMARKET_PAYMENT_TOKEN" group:"money"`

	AdminToken      string   `help:"Bearer token of the operator routes; without one they are off. It closes publishing: see --publish-token." env:"AIMARKET_ADMIN_TOKEN" placeholder:"SECRET" group:"access"`
	PublishToken    string   `help:"Shared bearer token for publishing. Outside production publishing is open while neither this nor --publisher-tokens nor --admin-token is set; with an admin token alone, everybody else is refused (401)." env:"AIMARKET_PUBLISH_TOKEN" placeholder:"SECRET" group:"access"`
	PublisherTokens []string `help:"One bearer token per publisher." env:"AIMARKET_PUBLISHER_TOKENS" placeholder:"ID:SECRET" group:"access"`
	AllowLocal      bool     `help:"Let providers be on loopback and private addresses (local development)." name:"allow-local-publish" env:"AIMARKET_ALLOW_LOCAL_PUBLISH" group:"access"`
	CORSOrigins     []string `help:"Browser origins that may call; any if empty." env:"AIMARKET_CORS_ORIGINS" group:"access"`
	TrustedProxies  []string `help:"Addresses or networks whose X-Forwarded-For is believed." env:"AIMARKET_TRUSTED_PROXIES" group:"access"`
	MetricsPublic   bool     `help:"Serve /metrics on the public address to anyone." env:"AIMARKET_METRICS_PUBLIC" group:"access"`
	MetricsToken    string   `help:"Serve /metrics on the public address to this bearer token." env:"AIMARKET_METRICS_TOKEN" placeholder:"SECRET" group:"access"`

	InvokeRate     int     `help:"Calls per client address and minute; 0 off." name:"invoke-rate-per-min" default:"60" env:"AIMARKET_INVOKE_RATE_PER_MIN" group:"limits"`
	ChannelRate    int     `help:"Channel opens and closes per client address and minute; 0 off, together with the hourly limits that are not set." name:"channel-rate-per-min" default:"30" env:"AIMARKET_CHANNEL_RATE_PER_MIN" group:"limits"`
	OpensPerHour   int     `help:"Opens per wallet and hour, ten times as many for all callers without one together; 0 off." default:"20" env:"AIMARKET_CHANNEL_OPENS_PER_HOUR" group:"limits"`
	ClosesPerHour  int     `help:"Closes per wallet and hour, likewise; 0 off." default:"60" env:"AIMARKET_CHANNEL_CLOSES_PER_HOUR" group:"limits"`
	PublishesPerHr int     `help:"Publishes per publisher and hour; 0 off." name:"publishes-per-hour" default:"5" env:"AIMARKET_SUPPLY_PUBLISH_PER_HOUR" group:"limits"`
	SandboxTrials  int     `help:"Free trial calls per visitor, for life; 0 turns trials off." default:"3" env:"AIMARKET_SANDBOX_TRIALS" group:"limits"`
	SandboxPerHour int     `help:"Trial calls per client address and hour; 0 off." default:"30" env:"AIMARKET_SANDBOX_PER_HOUR" group:"limits"`
	RequestTimeout seconds `help:"Seconds a provider has to answer." default:"28" env:"AIMARKET_REQUEST_TIMEOUT_S" group:"limits"`
	MinStake       float64 `help:"USD a publisher must have staked; 25 in production." name:"min-stake-usd" default:"10" env:"AIMARKET_SUPPLY_MIN_STAKE_USD" group:"limits"`
	MinTrust       float64 `help:"Trust a search demands that names none, 0…1." name:"min-trust" default:"0.3" env:"AIMARKET_MIN_TRUST_SCORE" group:"limits"`
	MinTrustInvoke float64 `help:"Trust a provider's capability needs to be called, 0…1." default:"0.35" env:"AIMARKET_SUPPLY_MIN_TRUST_INVOKE" group:"limits"`
	RequireSig     bool    `help:"Call only providers that sign their answers." name:"require-response-sig" env:"AIMARKET_SUPPLY_REQUIRE_RESPONSE_SIG" group:"limits"`

	FactoryURL    string  `help:"Address at which the products of an AI factory are called; without it none is listed." env:"AIFACTORY_PUBLIC_URL" placeholder:"URL" group:"hub"`
	FactoryRoot   string  `help:"Folder of that factory, with state/pipeline.db; ./data if empty." env:"AIFACTORY_DATA_ROOT" placeholder:"DIR" group:"hub"`
	FactorySQLite string  `help:"Database of that factory, if it is elsewhere." name:"factory-sqlite" env:"SQLITE_PATH" placeholder:"FILE" group:"hub"`
	Plugins       *string `help:"Plugins to load, comma-separated short or full names; all if not given, none if empty." name:"plugin-whitelist" env:"AIMARKET_PLUGIN_WHITELIST" placeholder:"NAMES" group:"hub"`

	meshSettings `embed:"" group:"mesh"`
}

// secretSettings are shown as set or not, never by value.
var secretSettings = map[string]bool{
	"admin-token": true, "publish-token": true, "publisher-tokens": true, "metrics-token": true,
}

// seconds is a whole number of seconds on the wire of flags and environment.
type seconds int64

func (s seconds) duration() time.Duration { return time.Duration(s) * time.Second }

func (s settings) config() (node.Config, error) {
	c := node.Config{
		DataDir: s.Data, Listen: s.Listen, AdminListen: s.AdminListen, HubURL: s.HubURL, HubName: s.HubName,
		SigningKeyPath: s.SigningKeyPath, AcceptNewKey: s.AcceptNewKey, Money: ledger.Mode(s.Money), Production: s.Production, SkipSeed: s.SkipSeed,
		AdminToken: s.AdminToken, PublishToken: s.PublishToken, PublisherTokens: map[string]string{},
		AllowLocal: s.AllowLocal, CORSOrigins: trimmed(s.CORSOrigins), MetricsPublic: s.MetricsPublic, MetricsToken: s.MetricsToken,
		InvokesPerMinute: s.InvokeRate, ChannelsPerMinute: s.ChannelRate, OpensPerHour: s.OpensPerHour,
		ClosesPerHour:    s.ClosesPerHour,
		PublishesPerHour: s.PublishesPerHr, SandboxTrials: s.SandboxTrials, SandboxPerHour: s.SandboxPerHour,
		MaxOpenChannels: s.MaxOpenChannels, ReapHoldsAfter: s.HoldReapAfter.duration(), RequestTimeout: s.RequestTimeout.duration(),
		RoutingFeeBps: s.RoutingFeeBps, MinTrust: s.MinTrust, MinTrustInvoke: s.MinTrustInvoke,
		RequireProviderSig: s.RequireSig, Chains: trimmed(s.PaymentChains), Tokens: trimmed(s.PaymentTokens),
		FactoryURL: s.FactoryURL, FactoryRoot: s.FactoryRoot, FactorySQLite: s.FactorySQLite,
	}
	if err := s.meshSettings.apply(&c); err != nil {
		return c, err
	}
	if s.Production && s.MinStake < 25 {
		s.MinStake = 25
	}
	if !(s.MinStake >= 0 && s.MinStake <= 1e9) {
		return c, fmt.Errorf("minimum stake %v USD is outside 0…1000000000", s.MinStake)
	}
	c.MinStake = ledger.Money(s.MinStake*1e6 + 0.5)
	if s.ChannelRate <= 0 {
		// Whoever turns the channel limit off means all of it, unless an hourly limit was asked for.
		for _, l := range []struct {
			value *int
			env   string
		}{
			{&c.OpensPerHour, "AIMARKET_CHANNEL_OPENS_PER_HOUR"}, {&c.ClosesPerHour, "AIMARKET_CHANNEL_CLOSES_PER_HOUR"},
		} {
			if _, asked := os.LookupEnv(l.env); !asked {
				*l.value = 0
			}
		}
	}
	for _, pair := range trimmed(s.PublisherTokens) {
		id, secret, ok := strings.Cut(pair, ":")
		if id, secret = strings.TrimSpace(id), strings.TrimSpace(secret); !ok || id == "" || secret == "" {
			return c, fmt.Errorf("a publisher token is not ID:SECRET (the part before the colon reads %q)", id)
		}
		c.PublisherTokens[id] = secret
	}
	for _, p := range trimmed(s.TrustedProxies) {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			addr, err := netip.ParseAddr(p)
			if err != nil {
				return c, fmt.Errorf("trusted proxy %q is neither an address nor a network such as 10.0.0.0/8", p)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix.Masked())
	}
	if s.Plugins != nil {
		c.PluginsSet, c.Plugins = true, trimmed(strings.Split(*s.Plugins, ","))
	}
	c.Logger = s.logger()
	return c, nil
}

func (s settings) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // kong checked the enum
	o := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// trimmed drops the empty items that "a, ,b" or an empty variable leave behind.
func trimmed(in []string) []string {
	var out []string
	for _, s := range in {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
