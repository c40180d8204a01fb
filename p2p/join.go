package p2p

import ma "github.com/multiformats/go-multiaddr"

// ListenAddresses are all the multiaddrs that this host listens on, each with
// /p2p/<id>, those of private networks and this machine included: for the operator, who
// knows who can reach them.
func (h *Host) ListenAddresses() []string {
	addrs, err := h.host.Network().InterfaceListenAddresses()
	if err != nil {
		addrs = h.host.Network().ListenAddresses()
	}
	var out []string
	for _, a := range addrs {
		if _, err := a.ValueForProtocol(ma.P_CIRCUIT); err == nil {
			continue // where relays are asked from, no address
		}
		out = append(out, a.String()+"/p2p/"+h.id.String())
	}
	return out
}
