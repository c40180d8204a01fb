package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/store"
)

// Registration is a publish request that already passed the shape checks of the wire.
type Registration struct {
	Capability        // InvokeURL, prices, schemas, ids as asked
	Publisher  string // authenticated publisher, or "" for the shared token
}

// Register applies the publishing gates and lists the row. *GateError says which failed.
//
// A publisher may replace its own row by publishing the same ids again. The row's
// trust and stake are those of the publisher at that moment.
func (c *Catalog) Register(ctx context.Context, r Registration) (Capability, error) {
	row, err := c.admitShape(r)
	if err != nil {
		return Capability{}, err
	}
	if err := c.cfg.URLs.CheckURL(ctx, row.InvokeURL); err != nil {
		// The cause may name addresses of the inner network: it is for the operator.
		return Capability{}, refuse(GateURL, err, "invoke_url %s is not a public http(s) address that this hub may call", clip(row.InvokeURL))
	}
	c.mu.Lock()
	commit, err := c.registerLocked(&row)
	c.mu.Unlock()
	var gate *GateError
	if errors.As(err, &gate) {
		return Capability{}, err
	}
	if err = durable(commit, err, "publish", 1); err != nil {
		return Capability{}, err
	}
	return row, nil
}

// admitShape applies the gates that need no other row, cheapest first, so that a
// publisher without a stake cannot make the hub resolve names.
func (c *Catalog) admitShape(r Registration) (Capability, error) {
	row := r.Capability
	row.SourceHub, row.SourceHubName = Local, clipName(c.cfg.HubName)
	row.Builtin, row.Demo, row.Observations30d = false, false, 0
	row.TrustScore, row.StakeMicros = 0, 0
	if row.PublisherID == "" {
		row.PublisherID = r.Publisher
	}
	if r.Publisher != "" && row.PublisherID != r.Publisher {
		return row, refuse(GatePublisher, nil, "the token belongs to publisher %s, not to %s; leave publisher_id out or use that publisher's token", r.Publisher, clip(row.PublisherID))
	}
	if row.PublisherID == "" {
		return row, refuse(GatePublisher, nil, "publisher_id is required: a wallet address or a stable name of yours")
	}
	if !slug(row.ProductID, "._-") {
		return row, refuse(GateShape, nil, "product_id %q must begin with a letter or digit and hold only those and . _ -", clip(row.ProductID))
	}
	version, ok := idVersion(row.CapabilityID)
	if !ok {
		return row, refuse(GateShape, nil, "capability_id %q must look like my.tool@v1", clip(row.CapabilityID))
	}
	if row.Version == "" {
		row.Version = version
	}
	if row.InvokeURL == "" {
		return row, refuse(GateURL, nil, "invoke_url is required: the http(s) address at which this hub calls the capability")
	}
	row, err := checkRow(row, c.cfg.RoutingFeeBps)
	var bad *InvalidError
	switch {
	case err == nil:
	case errors.As(err, &bad) && bad.Field == "provider_pubkey":
		return row, refuse(GateProviderKey, err, "%v", err)
	case errors.As(err, &bad) && bad.Field == "invoke_url":
		return row, refuse(GateURL, err, "%v", err)
	case errors.As(err, &bad) && bad.Field == "publisher_id":
		return row, refuse(GatePublisher, err, "%v", err)
	default:
		return row, refuse(GateShape, err, "%v", err)
	}
	st, err := c.stakeOf(row.PublisherID)
	if err != nil {
		return row, fmt.Errorf("catalog: publish %q: %w", row.CapabilityID, err)
	}
	if st.StakeMicros < c.cfg.MinStake {
		return row, refuse(GateStake, nil, "publisher %s has staked %s USD, this hub asks for %s; POST /ai-market/v2/supply/stake first",
			row.PublisherID, usdText(st.StakeMicros), usdText(c.cfg.MinStake))
	}
	if ok, wait := c.publishes.Peek(row.PublisherID); !ok {
		return row, c.tooMany(row.PublisherID, wait)
	}
	return row, nil
}

func (c *Catalog) tooMany(publisher string, wait time.Duration) error {
	return &GateError{Gate: GateRate, RetryAfter: wait,
		Detail: fmt.Sprintf("publisher %s may publish %d times an hour; try again in %s", publisher, c.cfg.PublishPerHr, wait.Round(time.Second))}
}

// registerLocked applies the gates that depend on other rows, and lists the row.
func (c *Catalog) registerLocked(row *Capability) (*store.Commit, error) {
	taken, err := c.productOwner(row.ProductID, row.PublisherID)
	if err != nil {
		return nil, err
	}
	if taken {
		return nil, refuse(GateProduct, nil, "product %s belongs to another publisher; choose a product_id of your own", row.ProductID)
	}
	other, err := c.urlOwner(row.InvokeURL, row.ProductID)
	if err != nil {
		return nil, err
	}
	if other {
		return nil, refuse(GateURLOwner, nil, "invoke_url %s is already registered to another product", clip(row.InvokeURL))
	}
	st, err := c.stakeOf(row.PublisherID)
	if err != nil {
		return nil, err
	}
	row.StakeMicros, row.TrustScore = st.StakeMicros, st.TrustScore
	if ok, wait := c.publishes.Allow(row.PublisherID); !ok {
		return nil, c.tooMany(row.PublisherID, wait)
	}
	commit, err := c.putLocked([]Capability{*row})
	if errors.Is(err, ErrFull) {
		return nil, refuse(GateCapacity, err, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	listed, err := c.read(row.Key)
	if err != nil {
		return commit, err
	}
	if listed != nil {
		c.table.overlay(listed)
		*row = *listed
	}
	return commit, nil
}

// productOwner reports whether anybody but publisher lists a row of the product.
func (c *Catalog) productOwner(productID, publisher string) (other bool, err error) {
	err = c.cfg.Store.Scan(prefixKey(rangeRow, Local, productID), nil, func(key, value []byte) (bool, error) {
		k, ok := parseRowKey(key)
		if !ok {
			return true, nil
		}
		r, err := decodeRow(k, value) // its schemas are not kept
		// What runs in process is the hub's own, whatever name a stranger goes by.
		other = err == nil && (r.Builtin || r.PublisherID != publisher)
		return !other, err
	})
	return other, err
}

// urlOwner reports whether a product other than productID lists the URL.
func (c *Catalog) urlOwner(invokeURL, productID string) (other bool, err error) {
	err = c.cfg.Store.Scan(prefixKey(rangeByURL, urlID(invokeURL)), nil, func(key, _ []byte) (bool, error) {
		_, product, _, ok := splitKey(rangeByURL, key)
		other = ok && product != productID
		return !other, nil
	})
	return other, err
}

// idVersion returns the version of a capability id like my.tool@v1.
func idVersion(id string) (string, bool) {
	at := strings.LastIndexByte(id, '@')
	if at < 1 || strings.IndexByte(id, '@') != at || !isAlnum(id[0]) {
		return "", false
	}
	digits, ok := strings.CutPrefix(id[at+1:], "v")
	if !ok || digits == "" || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	return id[at+1:], true
}
