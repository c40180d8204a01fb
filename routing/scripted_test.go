package routing

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
)

// scripted is the bare plugin; the types around it add one hook each.
type scripted struct {
	name string
	mu   sync.Mutex
	seen []string
}

func (s *scripted) Info() PluginInfo { return PluginInfo{Name: s.name} }

func (s *scripted) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, what)
}

func (s *scripted) notes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

type prePlugin struct {
	*scripted
	verdict Verdict
}

func (p prePlugin) PreCheck(_ context.Context, in *Payload, c CallInfo) (Verdict, error) {
	p.note("pre " + c.CapabilityID + " " + in.Text())
	return p.verdict, nil
}

type postPlugin struct {
	*scripted
	verdict Verdict
}

func (p postPlugin) PostCheck(_ context.Context, out *Payload, c CallInfo) (Verdict, error) {
	p.note("post " + c.CapabilityID + " " + out.Text())
	return p.verdict, nil
}

type failingPre struct{ *scripted }

func (failingPre) PreCheck(context.Context, *Payload, CallInfo) (Verdict, error) {
	return Verdict{}, errors.New("model not loaded")
}

// funcPlugin runs whatever the test gives it.
type funcPlugin struct {
	*scripted
	pre     func(context.Context, *Payload) (Verdict, error)
	post    func(context.Context, *Payload) (Verdict, error)
	quote   func(Quote) (Quote, error)
	pay     func(map[string]string) (Authorization, error)
	receipt func(Settled) (json.RawMessage, error)
	settled func(Settled)
}

func (p funcPlugin) PreCheck(ctx context.Context, in *Payload, _ CallInfo) (Verdict, error) {
	if p.pre == nil {
		return Verdict{}, nil
	}
	return p.pre(ctx, in)
}

func (p funcPlugin) PostCheck(ctx context.Context, out *Payload, _ CallInfo) (Verdict, error) {
	if p.post == nil {
		return Verdict{}, nil
	}
	return p.post(ctx, out)
}

func (p funcPlugin) PriceQuote(_ context.Context, q Quote, _ CallInfo) (Quote, error) {
	if p.quote == nil {
		return q, nil
	}
	return p.quote(q)
}

func (p funcPlugin) PaymentAuthorize(_ context.Context, _ Quote, _ CallInfo, c map[string]string) (Authorization, error) {
	if p.pay == nil {
		return Authorization{}, nil
	}
	return p.pay(c)
}

func (p funcPlugin) InvokeReceipt(_ context.Context, _ *Payload, s Settled) (json.RawMessage, error) {
	if p.receipt == nil {
		return nil, nil
	}
	return p.receipt(s)
}

func (p funcPlugin) InvokeSettled(_ context.Context, s Settled) {
	if p.settled != nil {
		p.settled(s)
	}
}
