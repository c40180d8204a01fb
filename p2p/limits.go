package p2p

import (
	"math"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/x/rate"
)

// Bounds on connections.
const (
	defaultConnLow  = 96
	defaultConnHigh = 192
	connGrace       = 20 * time.Second // a new connection is not trimmed before it showed what it is for

	// The resource manager refuses what the connection manager would only trim later:
	// twice the high mark, for many hubs may come at once.
	connsPerHigh   = 2
	connsSpare     = 64
	handshakes     = 256 // connections that have not yet proved a key
	streamsPerConn = 64  // on the average; HTTP, gossip, DHT, sync
	streamsPerPeer = 512

	connsPerIPv4      = 16 // several hubs behind one NAT
	connsPerIPv6Small = 16 // per /56, one customer
	connsPerIPv6Large = 64 // per /48
	newConnsPerIPRate = 0.5
	newConnsPerIP     = 32
)

// Bounds on what this hub carries for others as a relay. A relayed hub's catalogue and
// calls must fit: listings are at most 2 MB.
const (
	relayReservations = 128
	relayCircuits     = 16 // per hub
	relayData         = 16 << 20
	relayDuration     = 15 * time.Minute
)

func resourceManager(high int, local bool) (network.ResourceManager, error) {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	conns := rcmgr.LimitVal(connsPerHigh*high + connsSpare)
	limits := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: conns, ConnsInbound: conns, ConnsOutbound: conns, FD: conns,
			Streams: conns * streamsPerConn, StreamsInbound: conns * streamsPerConn, StreamsOutbound: conns * streamsPerConn,
		},
		Transient: rcmgr.ResourceLimits{
			Conns: handshakes, ConnsInbound: handshakes, ConnsOutbound: handshakes, FD: handshakes,
			Streams: 2 * handshakes, StreamsInbound: 2 * handshakes, StreamsOutbound: 2 * handshakes,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Streams: streamsPerPeer, StreamsInbound: streamsPerPeer, StreamsOutbound: streamsPerPeer,
		},
		Protocol: map[protocol.ID]rcmgr.ResourceLimits{
			// The per-hub count of serve.go is the one that decides.
			HTTPProtocol: {
				Streams: 2 * httpStreams, StreamsInbound: httpStreams + httpStreamsPerHub, StreamsOutbound: 2 * httpStreams,
			},
		},
		ProtocolPeer: map[protocol.ID]rcmgr.ResourceLimits{
			HTTPProtocol: {
				Streams: 4 * httpStreamsPerHub, StreamsInbound: 2 * httpStreamsPerHub, StreamsOutbound: 2 * httpStreamsPerHub,
			},
		},
	}.Build(scaling.AutoScale())

	opts := []rcmgr.Option{rcmgr.WithMetricsDisabled()}
	if local {
		everywhere := func(prefix string) []rcmgr.NetworkPrefixLimit {
			return []rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix(prefix), ConnCount: math.MaxInt}}
		}
		opts = append(opts,
			rcmgr.WithNetworkPrefixLimit(everywhere("0.0.0.0/0"), everywhere("::/0")),
			rcmgr.WithConnRateLimiters(&rate.Limiter{}))
	} else {
		newConns := rate.Limit{RPS: newConnsPerIPRate, Burst: newConnsPerIP}
		opts = append(opts,
			rcmgr.WithLimitPerSubnet(
				[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: connsPerIPv4}},
				[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: connsPerIPv6Small}, {PrefixLength: 48, ConnCount: connsPerIPv6Large}}),
			rcmgr.WithConnRateLimiters(&rate.Limiter{
				NetworkPrefixLimits: []rate.PrefixLimit{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")}},
				SubnetRateLimiter: rate.SubnetLimiter{
					IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: newConns}},
					IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: newConns}},
					GracePeriod:      time.Minute,
				},
			}))
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), opts...)
}

func connManager(low, high int) (*connmgr.BasicConnMgr, error) {
	return connmgr.NewConnManager(low, high, connmgr.WithGracePeriod(connGrace))
}

func relayResources() relayv2.Resources {
	r := relayv2.DefaultResources()
	r.MaxReservations, r.MaxCircuits = relayReservations, relayCircuits
	r.Limit = &relayv2.RelayLimit{Duration: relayDuration, Data: relayData}
	return r
}
