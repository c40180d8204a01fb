package routing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// The wire names of the hooks, in the contract's order; on_shutdown is never
// shown. The three last ones are this hub's own.
const (
	hookRoutes    = "register_routes"
	hookPre       = "on_invoke_pre_check"
	hookPost      = "on_invoke_post_check"
	hookReceipt   = "on_invoke_receipt"
	hookStartup   = "on_startup"
	hookShutdown  = "on_shutdown"
	hookManifest  = "get_manifest_extension"
	hookQuote     = "on_price_quote"
	hookAuthorize = "on_payment_authorize"
	hookSettled   = "on_invoke_settled"
)

// plugin is one loaded plugin with its hooks found once, so that a call pays for
// no type assertion.
type plugin struct {
	Plugin
	info     PluginInfo
	required bool
	timeout  time.Duration
	failed   bool // its startup failed: removed, but still shown

	pre       PreChecker
	post      PostChecker
	quoter    PriceQuoter
	payer     PaymentAuthorizer
	issuer    ReceiptIssuer
	observer  SettlementObserver
	extender  ManifestExtender
	stopper   Stopper
	prompt    int // bytes of payload up to which checks run inline; see Prompt
	stuck     atomic.Int32
	failures  atomic.Uint64
	clamped   atomic.Uint64
	startable Starter
}

func newPlugin(c PluginConfig) *plugin {
	p := &plugin{Plugin: c.Plugin, info: c.Plugin.Info(), required: c.Required, timeout: c.Timeout}
	if p.timeout <= 0 {
		p.timeout = DefaultHookTimeout
	}
	if p.info.Version == "" {
		p.info.Version = "0.1.0"
	}
	if p.info.Category == "" {
		p.info.Category = "uncategorized"
	}
	p.pre, _ = c.Plugin.(PreChecker)
	p.post, _ = c.Plugin.(PostChecker)
	p.quoter, _ = c.Plugin.(PriceQuoter)
	p.payer, _ = c.Plugin.(PaymentAuthorizer)
	p.issuer, _ = c.Plugin.(ReceiptIssuer)
	p.observer, _ = c.Plugin.(SettlementObserver)
	p.extender, _ = c.Plugin.(ManifestExtender)
	p.startable, _ = c.Plugin.(Starter)
	p.stopper, _ = c.Plugin.(Stopper)
	if prompt, ok := c.Plugin.(Prompt); ok {
		p.prompt = prompt.PromptBytes()
	}
	p.info.Hooks = p.hookNames(p.info.Hooks)
	p.info.Status = "active"
	return p
}

// hookNames lists what the plugin really has. Routes belong to the wire, which
// this package does not know, so that one name is taken on the plugin's word.
func (p *plugin) hookNames(declared []string) []string {
	names := []string{}
	add := func(name string, has bool) {
		if has {
			names = append(names, name)
		}
	}
	add(hookRoutes, slices.Contains(declared, hookRoutes))
	add(hookPre, p.pre != nil)
	add(hookPost, p.post != nil)
	add(hookReceipt, p.issuer != nil)
	add(hookStartup, p.startable != nil)
	add(hookManifest, p.extender != nil)
	add(hookQuote, p.quoter != nil)
	add(hookAuthorize, p.payer != nil)
	add(hookSettled, p.observer != nil)
	return names
}

// admitted applies the allow-list: it takes the entry key and the plugin's own
// name, and a list that names nothing admits nothing.
func admitted(c Config) []PluginConfig {
	if !c.AllowSet && c.Allow == nil {
		return c.Plugins
	}
	var in []PluginConfig
	unused := map[string]bool{}
	for _, name := range c.Allow {
		if name = strings.TrimSpace(name); name != "" {
			unused[name] = true
		}
	}
	allow := func(name string) bool {
		_, ok := unused[name]
		if ok {
			unused[name] = false
		}
		return ok && name != ""
	}
	for _, p := range c.Plugins {
		if p.Plugin == nil {
			in = append(in, p) // loadPlugins says which
			continue
		}
		byKey, byName := allow(p.EntryKey), allow(p.Plugin.Info().Name)
		if byKey || byName {
			in = append(in, p)
		}
	}
	for name, left := range unused {
		if left {
			c.Logger.Warn("the plugin allow-list names a plugin that this hub does not have", "plugin", name)
		}
	}
	return in
}

// loadPlugins admits, starts and sorts out the plugins. A plugin whose startup
// failed takes no part in any call; if it was a required one, no call passes at
// all, because a hub that was told never to run without it must not.
func (r *Router) loadPlugins(ctx context.Context, c Config) error {
	seen := map[string]bool{}
	for i, pc := range admitted(c) {
		if pc.Plugin == nil {
			return fmt.Errorf("routing: plugin %d of the configuration is nil; leave it out", i)
		}
		p := newPlugin(pc)
		if p.info.Name == "" || seen[p.info.Name] {
			return fmt.Errorf("routing: plugin %d is named %q, which is empty or taken; every plugin needs its own name", i, p.info.Name)
		}
		seen[p.info.Name] = true
		r.plugins = append(r.plugins, p)
	}
	for _, p := range r.plugins {
		if p.startable != nil {
			_, err := guard(ctx, max(p.timeout, startupTimeout), &p.stuck, func(ctx context.Context) (struct{}, error) {
				return struct{}{}, p.startable.Startup(ctx)
			})
			if err != nil {
				r.hookFailed(p, hookStartup, err)
				p.failed, p.info.Status = true, "failed"
				if p.required {
					r.downRequired = p
				}
				continue
			}
		}
		r.active = append(r.active, p)
		r.observed = r.observed || p.observer != nil
		r.issues = r.issues || p.issuer != nil
	}
	return nil
}

// startupTimeout is the least time a plugin has to start or stop, which may mean
// reading its own tables.
const startupTimeout = 10 * time.Second

// stopPlugins stops what was started, in reverse order.
func (r *Router) stopPlugins(ctx context.Context) error {
	var errs []error
	for _, p := range slices.Backward(r.active) {
		if p.stopper == nil {
			continue
		}
		_, err := guard(ctx, max(p.timeout, startupTimeout), &p.stuck, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, p.stopper.Shutdown(ctx)
		})
		if err != nil {
			r.hookFailed(p, hookShutdown, err)
			errs = append(errs, fmt.Errorf("routing: stopping plugin %s: %w", p.info.Name, err))
		}
	}
	return errors.Join(errs...)
}

// hookFailed counts and logs one failed hook call.
func (r *Router) hookFailed(p *plugin, hook string, err error) {
	p.failures.Add(1)
	attrs := []any{"plugin", p.info.Name, "hook", hook, "required", p.required, "error", err}
	var crashed *panicError
	if errors.As(err, &crashed) {
		attrs = append(attrs, slog.String("stack", string(crashed.stack)))
	}
	r.c.Logger.Warn("a plugin hook failed", attrs...)
}

// unavailable is the refusal for a failed hook of a required plugin.
func unavailable(p *plugin, hook string, err error) *Refusal {
	return refuse(PluginUnavailable,
		"the required plugin %s did not answer its %s check, and this hub serves no call without it; nothing was billed; try again later",
		p.info.Name, hook).because(err)
}

// Plugins lists what is loaded, in configured order. A plugin whose startup
// failed is listed with status "failed".
func (r *Router) Plugins() []PluginInfo {
	out := make([]PluginInfo, 0, len(r.plugins))
	for _, p := range r.plugins {
		info := p.info
		info.Hooks = slices.Clone(info.Hooks)
		out = append(out, info)
	}
	return out
}

// Loaded returns the active plugins themselves, for the wire to find their routes.
func (r *Router) Loaded() []Plugin {
	out := make([]Plugin, 0, len(r.active))
	for _, p := range r.active {
		out = append(out, p.Plugin)
	}
	return out
}

// PluginExtensions lists what the active plugins add to the discovery document, by
// plugin name. Empty extensions and those that are not a JSON object are left out.
func (r *Router) PluginExtensions() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for _, p := range r.active {
		if p.extender == nil {
			continue
		}
		raw, err := guard(context.Background(), p.timeout, &p.stuck, func(context.Context) (json.RawMessage, error) {
			return p.extender.ManifestExtension(), nil
		})
		if err == nil && len(raw) == 0 {
			continue
		}
		var v canon.Value
		if err == nil {
			v, err = canon.Parse(raw)
		}
		if err == nil && v.Kind() != canon.Object {
			err = errors.New("the extension is not a JSON object")
		}
		if err != nil {
			r.hookFailed(p, hookManifest, err)
			continue
		}
		if v.Len() > 0 {
			out[p.info.Name] = raw
		}
	}
	return out
}
