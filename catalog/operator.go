package catalog

import "context"

// Sight records an address that somebody named as a pending peer: a neighbour, a
// crawler's header. It fetches nothing. added is false if the address is known, full if
// a bound keeps it out.
func (c *Catalog) Sight(ctx context.Context, hubURL, discoverer string, depth int) (added bool, err error) {
	panic("skeleton")
}

// Preview lists what a pending peer offers, at most limit rows. Nothing else reads it.
func (c *Catalog) Preview(ctx context.Context, hubURL string, limit int) ([]Capability, error) {
	panic("skeleton")
}

// Reject is the operator's no to a pending peer.
func (c *Catalog) Reject(ctx context.Context, hubURL string) (Peer, error) { panic("skeleton") }

// RepinRequest changes a peer's pinned key by the operator's hand (federation notes §4).
type RepinRequest struct {
	URL         string
	PublicKey   string // "" takes the key that the peer advertises
	PreviousKey string // must be the present pin if given
	Trusted     *bool  // also approve (true) or send back to pending (false)
}

// Repin sets a peer's key. ErrUnknown for unknown peers, *InvalidError for a key that is
// none or a PreviousKey that is not the pin, ErrDuplicateIdentity if the key is active elsewhere.
func (c *Catalog) Repin(ctx context.Context, r RepinRequest) (Peer, error) { panic("skeleton") }

// Unpublish takes an own row off for its publisher (DELETE supply). *GateError if it
// belongs to another publisher, ErrUnknown if it is not listed.
func (c *Catalog) Unpublish(ctx context.Context, productID, capabilityID, publisher string) error {
	panic("skeleton")
}
