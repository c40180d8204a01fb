package catalog

// ownAddresses is where this hub is reached, as its documents and heads say it. A
// value is never changed once it is stored in Catalog.addresses.
type ownAddresses struct {
	PeerID     string   // libp2p peer ID, derived from the hub's key
	Multiaddrs []string // at most MaxMultiaddrs
	PublicURL  string   // confirmed base URL in normal form; "" if there is none
}

// ownAddress returns the current addresses; empty before SetAddresses.
func (c *Catalog) ownAddress() ownAddresses {
	if a := c.addresses.Load(); a != nil {
		return *a
	}
	return ownAddresses{}
}

// isSelf reports whether a base URL in normal form is one of this hub's own, whatever
// its scheme.
func (c *Catalog) isSelf(base string) bool {
	public := c.ownAddress().PublicURL
	return sameHub(base, c.cfg.HubURL) || public != "" && sameHub(base, public) || base == KeyURL(c.mesh.ownKey)
}
