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

// fetch asks one peer for up to maxFetches listings at once and hands over the answers in
// the order of the requests. The peer has transferTime of their size together, so that
// many answers are no reason to be slower. What breaks the conversation is the error of
// the answer that was due; those after it were not given.
func (m *Mesh) fetch(ctx context.Context, p peer.ID, requests []request, dial bool, took func(i int, raw []byte, err error)) {
	i, err := m.fetchEach(ctx, p, requests, dial, took)
	if err == nil {
		return
	}
	took(i, nil, err)
	for i++; i < len(requests); i++ {
		took(i, nil, fmt.Errorf("the conversation with %s ended before its answer: %v", p, err))
	}
}

// fetchEach tells at which request the conversation broke.
func (m *Mesh) fetchEach(ctx context.Context, p peer.ID, requests []request, dial bool, took func(i int, raw []byte, err error)) (i int, err error) {
	s, err := m.open(ctx, p, FetchProtocol, fetchService, dial, fetchWait)
	if err != nil {
		return 0, err
	}
	end := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer end()
	defer func() {
		if err != nil {
			_ = s.Reset()
			return
		}
		_ = s.Close()
	}()
	var asked []byte
	for _, r := range requests {
		asked = append(asked, r.encode()...)
	}
	if _, err := s.Write(asked); err != nil {
		return 0, fmt.Errorf("asking %s for listings: %w", p, err)
	}
	if err := s.CloseWrite(); err != nil {
		return 0, fmt.Errorf("asking %s for listings: %w", p, err)
	}
	deadline := time.Now().Add(fetchWait)
	for i := range requests {
		reserved := 0
		status, raw, err := readAnswer(s, func(n int) error {
			if err := s.Scope().ReserveMemory(n, network.ReservationPriorityMedium); err != nil {
				return fmt.Errorf("a listing of %d bytes exceeds this hub's memory for streams: %w", n, err)
			}
			reserved = n
			deadline = deadline.Add(transferTime(n) - fetchWait)
			return s.SetDeadline(deadline)
		})
		switch {
		case err != nil:
			return i, err
		case status == statusUnknown:
			err = errUnknown
		case status == statusBusy:
			err = errBusy
		default:
			m.count.bytes.WithLabelValues("pulled").Add(float64(len(raw)))
		}
		arrived := time.Now()
		took(i, raw, err)
		s.Scope().ReleaseMemory(reserved)
		deadline = deadline.Add(time.Since(arrived)) // what this hub takes is not the peer's time
		if err := s.SetDeadline(deadline); err != nil {
			return i + 1, err
		}
	}
	return len(requests), nil
}

// patience is how long the other side of a stream may still keep this hub waiting. Only
// waiting counts, not what this hub does between.
type patience struct {
	s    network.Stream
	left time.Duration
}

// during runs what waits for the other side.
func (p *patience) during(wait func() error) error {
	begun := time.Now()
	if err := p.s.SetDeadline(begun.Add(p.left)); err != nil {
		return err
	}
	err := wait()
	p.left -= time.Since(begun)
	return err
}

// serveFetch answers a peer's requests. The peer has fetchWait for all of them and
// transferTime of the answers together: who asks or reads in drips takes the place of
// others no longer than with one request.
func (m *Mesh) serveFetch(ctx context.Context, s network.Stream) {
	p := s.Conn().RemotePeer()
	err := s.Scope().SetService(fetchService)
	wait := patience{s: s, left: fetchWait}
	for n := 0; n < maxFetches && err == nil; n++ {
		err = m.answerFetch(ctx, s, p, &wait)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		_ = s.Reset()
		if errors.Is(err, errWire) {
			m.offend(p, "fetch_format", err.Error())
		}
		return
	}
	_ = s.Close()
}

// answerFetch answers one request; io.EOF if there is none.
func (m *Mesh) answerFetch(ctx context.Context, s network.Stream, p peer.ID, wait *patience) error {
	var raw [requestSize]byte
	err := wait.during(func() error { _, err := io.ReadFull(s, raw[:]); return err })
	if err != nil {
		return err
	}
	r, err := decodeRequest(raw[:])
	if err != nil {
		return err
	}
	answer := func(status byte, update []byte) error {
		return wait.during(func() error { _, err := s.Write(appendAnswer(status, update)); return err })
	}
	if ok, _ := m.limits.fetch.take(p, 1); !ok || m.limits.bytes.inDebt(p) {
		m.count.bound("fetch_rate")
		return answer(statusBusy, nil)
	}
	newest, known := m.cat.RefOf(r.key)
	if !known || r.want != r.have && r.have != (digest{}) && digestOf(newest.Digest) == r.have { // no news for who asks
		return answer(statusUnknown, nil)
	}
	update, err := m.cat.UpdateFor(ctx, r.key, r.have.text())
	if err != nil || len(update) == 0 || len(update) > catalog.MaxUpdateBytes {
		return answer(statusUnknown, nil)
	}
	if err := s.Scope().ReserveMemory(len(update), network.ReservationPriorityMedium); err != nil {
		return answer(statusBusy, nil)
	}
	defer s.Scope().ReleaseMemory(len(update))
	m.limits.bytes.take(p, float64(len(update)))
	m.count.bytes.WithLabelValues("served").Add(float64(len(update)))
	wait.left += transferTime(len(update)) - fetchWait
	return answer(statusOK, update)
}
