package gossip

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/aimarket/aimarket/internal/identity"
)

// lanes keeps the updates of one author in order: validators run at the same time, and
// over two paths a later update may overtake an earlier one, which would then be
// missing as its base and cost a pull. The later one waits a moment instead.
type lanes struct {
	mu      sync.Mutex
	of      *simplelru.LRU[identity.PublicKey, *lane]
	waiting int
}

// lane is what this hub saw last of one author.
type lane struct {
	sequence uint64 // of the newest head that was taken
	held     string // digest of the listing in effect, as far as gossip knows
	moved    chan struct{}
}

func newLanes() *lanes {
	of, _ := simplelru.NewLRU[identity.PublicKey, *lane](maxLanes, nil) // fails only for sizes ≤ 0
	return &lanes{of: of}
}

// behind tells whether a head of this sequence is no news.
func (l *lanes) behind(key identity.PublicKey, sequence uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.of.Get(key)
	return ok && sequence <= n.sequence
}

// note records what was taken; held is "" if only the head was.
func (l *lanes) note(key identity.PublicKey, sequence uint64, held string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.of.Get(key)
	if !ok {
		n = &lane{moved: make(chan struct{})}
		l.of.Add(key, n)
	}
	n.sequence = max(n.sequence, sequence)
	if held != "" && n.held != held {
		n.held = held
		close(n.moved)
		n.moved = make(chan struct{})
	}
}

// await returns when the listing with digest base is in effect, or when it is not worth
// waiting for. full is true if too many wait already.
func (l *lanes) await(ctx context.Context, key identity.PublicKey, sequence uint64, base string) (full bool) {
	var timeout <-chan time.Time
	for {
		l.mu.Lock()
		n, ok := l.of.Get(key)
		if base == "" || !ok || n.held == "" || n.held == base || sequence <= n.sequence {
			l.mu.Unlock()
			return false
		}
		if l.waiting >= maxLaneWaits {
			l.mu.Unlock()
			return true
		}
		l.waiting++
		moved := n.moved
		l.mu.Unlock()

		if timeout == nil {
			t := time.NewTimer(laneWait)
			defer t.Stop()
			timeout = t.C
		}
		late := false
		select {
		case <-moved:
		case <-timeout:
			late = true
		case <-ctx.Done():
			late = true
		}
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
		if late {
			return false
		}
	}
}
