package routing

import (
	"errors"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/sony/gobreaker/v2"
)

const (
	// maxBreakers bounds the provider origins that are remembered; the one unused for
	// longest is forgotten, which at worst lets one more call through to it.
	maxBreakers = 4096

	// breakerTrips is how many failures in a row stop the calls to an origin.
	breakerTrips = 5

	// breakerPause is how long they stop before one call may try again.
	breakerPause = 15 * time.Second

	// maxPerOrigin bounds the calls in flight to one origin, so that one slow
	// provider cannot hold every goroutine and socket of the hub.
	maxPerOrigin = 512
)

var (
	errOpen = errors.New("its last calls failed one after another")
	errBusy = errors.New("too many calls to it are still waiting for its answer")
)

// breakers keeps one circuit breaker per provider origin.
type breakers struct {
	byOrigin *lru.Cache[string, *breaker]
}

type breaker struct {
	circuit  *gobreaker.TwoStepCircuitBreaker[struct{}]
	inFlight atomic.Int32
}

func newBreakers() *breakers {
	cache, err := lru.New[string, *breaker](maxBreakers)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &breakers{byOrigin: cache}
}

// enter asks leave to call origin. done takes the outcome: nil, or the fault that
// counts against the origin.
func (b *breakers) enter(origin string) (done func(error), err error) {
	br, ok := b.byOrigin.Get(origin)
	if !ok {
		fresh := &breaker{circuit: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Name:        origin,
			Timeout:     breakerPause,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerTrips },
		})}
		if earlier, found, _ := b.byOrigin.PeekOrAdd(origin, fresh); found {
			br = earlier
		} else {
			br = fresh
		}
	}
	if br.inFlight.Add(1) > maxPerOrigin {
		br.inFlight.Add(-1)
		return nil, errBusy
	}
	report, err := br.circuit.Allow()
	if err != nil {
		br.inFlight.Add(-1)
		return nil, errOpen
	}
	return func(err error) {
		br.inFlight.Add(-1)
		report(err)
	}, nil
}

// states counts the breakers by state.
func (b *breakers) states() map[string]int {
	out := map[string]int{gobreaker.StateClosed.String(): 0, gobreaker.StateHalfOpen.String(): 0, gobreaker.StateOpen.String(): 0}
	for _, br := range b.byOrigin.Values() {
		out[br.circuit.State().String()]++
	}
	return out
}
