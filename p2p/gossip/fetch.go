package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/catalog"
)

// What a fetch can fail with, apart from the network's errors and errWire.
var (
	errUnknown = errors.New("gossip: the peer does not have this listing")
	errBusy    = errors.New("gossip: the peer is busy")
)

const (
	fetchService = "aimarket.fetch" // names of the stream scopes in the resource manager
	syncService  = "aimarket.sync"
)

// transferTime is what a listing of n bytes may take.
func transferTime(n int) time.Duration {
	return fetchWait + time.Duration(n)*time.Second/fetchMinSpeed
}

// open begins a conversation. Only peers that are connected already are asked, unless
// dial is set.
func (m *Mesh) open(ctx context.Context, p peer.ID, protocol, service string, dial bool, timeout time.Duration) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ctx = network.WithAllowLimitedConn(ctx, service)
	if !dial {
		ctx = network.WithNoDial(ctx, service)
	}
	s, err := m.host.NewStream(ctx, p, protocolID(protocol))
	if err != nil {
		return nil, fmt.Errorf("opening a stream to %s: %w", p, err)
	}
	if err := errors.Join(s.Scope().SetService(service), s.SetDeadline(time.Now().Add(timeout))); err != nil {
		_ = s.Reset()
		return nil, fmt.Errorf("opening a stream to %s: %w", p, err)
	}
	return s, nil
}

// fetch asks one peer for a listing. It takes at most transferTime of its size.
func (m *Mesh) fetch(ctx context.Context, p peer.ID, r request, dial bool) (raw []byte, err error) {
	s, err := m.open(ctx, p, FetchProtocol, fetchService, dial, fetchWait)
	if err != nil {
		return nil, err
	}
	end := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer end()
	begun := time.Now()
	defer func() {
		if err != nil {
			_ = s.Reset()
			return
		}
		_ = s.Close()
	}()
	if _, err := s.Write(r.encode()); err != nil {
		return nil, fmt.Errorf("asking %s for a listing: %w", p, err)
	}
	if err := s.CloseWrite(); err != nil {
		return nil, fmt.Errorf("asking %s for a listing: %w", p, err)
	}
	status, raw, err := readAnswer(s, func(n int) error {
		if err := s.Scope().ReserveMemory(n, network.ReservationPriorityMedium); err != nil {
			return fmt.Errorf("a listing of %d bytes exceeds this hub's memory for streams: %w", n, err)
		}
		return s.SetDeadline(begun.Add(transferTime(n)))
	})
	switch {
	case err != nil:
		return nil, err
	case status == statusUnknown:
		return nil, errUnknown
	case status == statusBusy:
		return nil, errBusy
	}
	m.count.bytes.WithLabelValues("pulled").Add(float64(len(raw)))
	return raw, nil
}

// serveFetch answers a peer's request.
func (m *Mesh) serveFetch(ctx context.Context, s network.Stream) {
	p := s.Conn().RemotePeer()
	if err := m.answerFetch(ctx, s, p); err != nil {
		_ = s.Reset()
		if errors.Is(err, errWire) {
			m.offend(p, "fetch_format", err.Error())
		}
		return
	}
	_ = s.Close()
}

func (m *Mesh) answerFetch(ctx context.Context, s network.Stream, p peer.ID) error {
	if err := errors.Join(s.Scope().SetService(fetchService), s.SetDeadline(time.Now().Add(fetchWait))); err != nil {
		return err
	}
	var raw [requestSize]byte
	if _, err := io.ReadFull(s, raw[:]); err != nil {
		return err
	}
	r, err := decodeRequest(raw[:])
	if err != nil {
		return err
	}
	if ok, _ := m.limits.fetch.take(p, 1); !ok || m.limits.bytes.inDebt(p) {
		m.count.bound("fetch_rate")
		_, err := s.Write(appendAnswer(statusBusy, nil))
		return err
	}
	newest, known := m.cat.HeadOf(r.key)
	if !known || r.want != r.have && r.have != (digest{}) && digestOf(newest.Digest) == r.have { // no news for who asks
		_, err := s.Write(appendAnswer(statusUnknown, nil))
		return err
	}
	update, err := m.cat.UpdateFor(ctx, r.key, r.have.text())
	if err != nil || len(update) == 0 || len(update) > catalog.MaxUpdateBytes {
		_, err := s.Write(appendAnswer(statusUnknown, nil))
		return err
	}
	if err := s.Scope().ReserveMemory(len(update), network.ReservationPriorityMedium); err != nil {
		_, err := s.Write(appendAnswer(statusBusy, nil))
		return err
	}
	if err := s.SetDeadline(time.Now().Add(transferTime(len(update)))); err != nil {
		return err
	}
	m.limits.bytes.take(p, float64(len(update)))
	m.count.bytes.WithLabelValues("served").Add(float64(len(update)))
	_, err = s.Write(appendAnswer(statusOK, update))
	return err
}
