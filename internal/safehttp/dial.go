package safehttp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

const (
	resolveTimeout = 5 * time.Second
	// maxResolved bounds the addresses of one name; a name with more is refused
	// rather than judged in part.
	maxResolved = 64
	// maxDialed is how many of them are tried.
	maxDialed = 4
	// dialTimeout is for all tries together, minTry for one at least.
	dialTimeout = 10 * time.Second
	minTry      = 2 * time.Second
	keepAlive   = 30 * time.Second
)

// dialer connects to hosts, and only to addresses it has judged.
type dialer struct {
	resolver   Resolver
	allowLocal bool
	allowHosts map[string]bool // host:port, lower case
}

func (d *dialer) local(hostPort string) bool {
	return d.allowLocal || d.allowHosts[hostPort]
}

// resolve returns the addresses of a host, all of them judged. A single one that
// fails refuses the host: whoever can put a private address next to a public one
// could make us use it.
func (d *dialer) resolve(ctx context.Context, host, hostPort string, literal netip.Addr) ([]netip.Addr, error) {
	addrs := []netip.Addr{literal}
	if !literal.IsValid() {
		ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
		defer cancel()
		var err error
		addrs, err = d.resolver.LookupNetIP(ctx, "ip", host)
		if err != nil || len(addrs) == 0 {
			return nil, &Error{Kind: ErrUnreachable, Reason: "the name does not resolve", Cause: errors.Join(errUnresolved, err)}
		}
		if len(addrs) > maxResolved {
			return nil, &Error{Kind: ErrUnsafeURL, Reason: fmt.Sprintf("the name has more than %d addresses", maxResolved)}
		}
	}
	for _, a := range addrs {
		if !publicAddress(a, d.local(hostPort)) {
			return nil, notPublic(a)
		}
	}
	return addrs, nil
}

// errUnresolved marks the errors of a name without addresses.
var errUnresolved = errors.New("no addresses")

func notPublic(a netip.Addr) *Error {
	return &Error{
		Kind:   ErrUnsafeURL,
		Reason: "it does not lead to public addresses only; local ones must be allowed explicitly",
		Cause:  fmt.Errorf("address %v is not public", a),
	}
}

// dial resolves once, judges every address and connects to one of those
// judged, so a name that changes its answer in between gains nothing.
func (d *dialer) dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, &Error{Kind: ErrUnsafeURL, Reason: "it is malformed", Cause: err}
	}
	literal, err := netip.ParseAddr(host)
	if err != nil {
		literal = netip.Addr{}
	}
	hostPort = strings.ToLower(hostPort)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := d.resolve(ctx, host, hostPort, literal)
	if err != nil {
		return nil, err
	}
	addrs = addrs[:min(len(addrs), maxDialed)]
	nd := net.Dialer{KeepAlive: keepAlive, Control: d.control(hostPort)}
	var failed error
	for i, a := range addrs {
		conn, err := d.try(ctx, &nd, network, net.JoinHostPort(a.Unmap().String(), port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// try gives one address its share of the time that is left.
func (d *dialer) try(ctx context.Context, nd *net.Dialer, network, addr string, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(minTry, time.Until(deadline)/time.Duration(left)))
		defer cancel()
	}
	return nd.DialContext(ctx, network, addr)
}

// control judges again what the socket is about to connect to: a second lock on
// the same door, should the code above ever be changed for the worse.
func (d *dialer) control(hostPort string) func(network, address string, c syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !publicAddress(ap.Addr(), d.local(hostPort)) {
			return notPublic(ap.Addr())
		}
		return nil
	}
}
