package admit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/p2p/crawl"
)

// verdict is what a trial found.
type verdict struct {
	passed    bool
	broken    bool // it answered and broke a rule: no matter of luck
	unreached bool // nobody answered at any address
	detail    string
	confirmed string      // the HTTP address that showed the pinned key; "" if none did
	called    catalog.Key // of the call that decided; zero if there was none
	served    bool        // that call was answered with a result and a receipt
	latency   time.Duration
}

// result labels the verdict in the metrics.
func (v *verdict) result() string {
	switch {
	case v.passed:
		return "passed"
	case v.broken:
		return "broken"
	}
	return "unanswered"
}

// problem is why a step of a trial did not succeed.
type problem struct {
	broken    bool
	text      string
	unreached bool // nobody answered
}

func broken(format string, args ...any) *problem {
	return &problem{broken: true, text: fmt.Sprintf(format, args...)}
}

func unanswered(format string, args ...any) *problem {
	return &problem{text: fmt.Sprintf(format, args...)}
}

// judge is a whole trial.
func (a *Admitter) judge(ctx context.Context, p catalog.Peer) verdict {
	ctx, cancel := context.WithTimeout(ctx, TrialTimeout)
	defer cancel()
	if p.PublicKey == "" {
		return verdict{detail: "its key is not known yet, so nothing it signs can be checked; it is tried once its discovery document was read at its own address"}
	}
	key, err := identity.ParsePublicKey(p.PublicKey)
	if err != nil {
		return verdict{broken: true, detail: "its pinned key is of no use: " + err.Error()}
	}
	var tried []string
	broke, unreached := true, true
	for _, base := range doors(&p, key) {
		d, problem := a.documents(ctx, base, key)
		if problem != nil {
			tried = append(tried, problem.text)
			broke = broke && problem.broken
			unreached = unreached && (problem.broken || problem.unreached)
			continue
		}
		d.fallback = member(&p)
		v := a.callOne(ctx, d, key)
		if v.passed && d.byHTTP && (p.ClaimedURL == "" || base == p.ClaimedURL) {
			v.confirmed = base
		}
		if len(tried) > 0 {
			v.detail += "; before that was tried: " + strings.Join(tried, "; ")
		}
		return v
	}
	if len(tried) == 0 {
		return verdict{broken: true, detail: fmt.Sprintf("%q is no address at which a hub can be tried", p.URL)}
	}
	return verdict{broken: broke, unreached: unreached && !broke, detail: strings.Join(tried, "; ")}
}

// doors lists where a peer can be tried: the address it claims, the one it is known by,
// and, if it is in the mesh, its key.
func doors(p *catalog.Peer, key identity.PublicKey) (bases []string) {
	for _, u := range []string{p.ClaimedURL, p.URL} {
		if byHTTP(u) && !slices.Contains(bases, u) {
			bases = append(bases, u)
		}
	}
	if member(p) {
		bases = append(bases, catalog.KeyURL(key))
	}
	return bases
}

// member is true for a hub that was heard of in the mesh.
func member(p *catalog.Peer) bool {
	return p.Sequence > 0 || len(p.Multiaddrs) > 0 || !byHTTP(p.URL)
}

func byHTTP(u string) bool {
	return strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://")
}

// shown is what a hub shows of itself at one door.
type shown struct {
	base     string
	byHTTP   bool
	fallback bool // it can also be called over streams
	offers   []offer
}

// discovery reads the discovery document at an address, which must be signed by the key.
func (a *Admitter) discovery(ctx context.Context, base string, key identity.PublicKey) (*catalog.CrawledDiscovery, *problem) {
	got, err := crawl.Get(ctx, a.cfg.Fetch, a.cfg.HubURL, crawl.DiscoveryURL(base), "")
	if err != nil {
		return nil, failed("its discovery document was not read", err)
	}
	d, err := catalog.ParseDiscovery(base, got.Body)
	if err != nil {
		return nil, broken("its discovery document is not valid: %v", err)
	}
	if shows, err := identity.ParsePublicKey(d.PublicKey); err != nil || shows != key {
		return nil, broken("%s shows another key than the one pinned for this hub", base)
	}
	if !d.Signed {
		return nil, broken("the discovery document at %s is not signed by the key that it shows", base)
	}
	return d, nil
}

// documents reads and judges the discovery document and the manifest.
func (a *Admitter) documents(ctx context.Context, base string, key identity.PublicKey) (*shown, *problem) {
	d, p := a.discovery(ctx, base, key)
	if p != nil {
		return nil, p
	}
	got, err := crawl.Get(ctx, a.cfg.Fetch, a.cfg.HubURL, crawl.ManifestURL(d), "")
	if err != nil {
		return nil, failed("its manifest was not read", err)
	}
	offers, p := checkManifest(got.Body, base, key, a.cfg.Now())
	if p != nil {
		return nil, p
	}
	return &shown{base: base, byHTTP: byHTTP(base), offers: offers}, nil
}

// failed sorts an exchange that brought no document.
func failed(what string, err error) *problem {
	if crawl.Unanswered(err) {
		p := unanswered("%s: %v", what, err)
		var status *crawl.StatusError // somebody answered, and wants to be left alone
		p.unreached = !errors.As(err, &status)
		return p
	}
	return broken("%s: %v", what, err)
}
