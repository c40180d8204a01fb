package catalog

import (
	"context"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// Prices returns the current signed price list: the rows of the manifest. It is
// cached like the manifest.
func (c *Catalog) Prices(ctx context.Context) (Document, error) {
	return c.document(ctx, "price list", &c.prices, "", c.writePrices, canon.ObjectMessage)
}

func (c *Catalog) writePrices(o *object, now time.Time) error {
	rows, err := c.listed(now)
	if err != nil {
		return err
	}
	o.text("protocol_version", documentVersion)
	o.text("generated_at", stamp(now))
	o.text("base_url", c.cfg.HubURL)
	o.text("currency", "USD")
	o.int("routing_fee_bps", int64(c.cfg.RoutingFeeBps))
	o.int("count", int64(len(rows)))
	o.list("prices", len(rows), func(dst []byte, i int) []byte {
		r := rows[i]
		e := openObject(dst)
		e.text("capability_id", r.CapabilityID)
		e.text("product_id", r.ProductID)
		e.micros("price_usd", r.PriceMicros)
		e.micros("routed_price_usd", r.RoutedMicros)
		e.int("routing_fee_bps", int64(r.RoutingFeeBps))
		e.text("source_hub", r.SourceHub)
		e.text("route_status", c.route(r.SourceHub, now).Status)
		return e.close()
	})
	return nil
}
