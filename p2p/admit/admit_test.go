package admit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aimarket/aimarket/catalog"
)

func TestAdmitterWorksThroughThePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newMarket(), newOffice()
		for i := range 20 {
			h := newHub(fmt.Sprintf("https://h%d.example", i))
			h.delay = time.Second
			m.hubs[h.base] = h
			o.waiting = append(o.waiting, h.peer())
		}
		var admitted []string
		a := newAdmitter(t, m, o, func(c *Config) {
			c.Admitted = func(_ context.Context, p catalog.Peer) {
				o.mu.Lock()
				defer o.mu.Unlock()
				admitted = append(admitted, p.URL)
			}
		})
		began := time.Now()
		for {
			synctest.Wait()
			o.mu.Lock()
			left := len(o.waiting)
			o.mu.Unlock()
			if left == 0 {
				break
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if took := time.Since(began); took > 16*time.Second || m.most != DefaultWorkers {
			t.Errorf("took %v with %d at once", took, m.most)
		}
		if slices.Sort(admitted); len(slices.Compact(admitted)) != 20 || len(o.reports) != 20 {
			t.Errorf("admitted %v, %d reports", admitted, len(o.reports))
		}
		for url, trials := range o.noted {
			if len(trials) != 1 {
				t.Errorf("%s was tried %d times", url, len(trials))
			}
		}
		_ = a
	})
}

func TestAdmitterWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(base)
		m, o := newMarket(h), newOffice()
		newAdmitter(t, m, o)
		synctest.Wait()
		first := o.asks()
		time.Sleep(maxAsk - time.Second)
		synctest.Wait()
		if o.asks() != first {
			t.Errorf("asked %d times for nothing", o.asks()-first)
		}
		o.mu.Lock()
		o.waiting = append(o.waiting, h.peer())
		o.mu.Unlock()
		o.due <- struct{}{}
		synctest.Wait()
		if len(o.trials(base)) != 1 {
			t.Error("a new peer was not tried")
		}

		o.mu.Lock()
		o.next = time.Now().Add(time.Minute)
		o.mu.Unlock()
		o.due <- struct{}{}
		synctest.Wait()
		o.mu.Lock()
		o.waiting = append(o.waiting, h.peer())
		o.mu.Unlock()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if len(o.trials(base)) != 1 {
			t.Error("tried before its time")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(o.trials(base)) != 2 {
			t.Error("not tried when its time came")
		}
	})
}

// A disk that is full must not turn into an endless series of calls to a peer.
func TestAdmitterRestsWhenTrialsCannotBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(base)
		o := newOffice(h.peer())
		o.err = errors.New("disk full")
		newAdmitter(t, newMarket(h), o)
		time.Sleep(24 * time.Hour) // 1, 2, 4 … 32 minutes, then hourly
		synctest.Wait()
		if n := len(o.trials(base)); n < 25 || n > 32 {
			t.Errorf("%d trials in a day", n)
		}
		if len(o.reports) != 0 {
			t.Error("reported although nothing was admitted")
		}
	})
}

func TestCloseBreaksTrialsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(base)
		h.delay = time.Hour
		o := newOffice(h.peer())
		a := newAdmitter(t, newMarket(h), o)
		synctest.Wait()
		if tried := a.Try(t.Context(), h.peer()); tried.Passed || tried.Failures != 0 {
			t.Errorf("two trials of one hub at once: %+v", tried)
		}
		began := time.Now()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if time.Since(began) > time.Second {
			t.Error("Close waited for the trial")
		}
		if len(o.noted) != 0 {
			t.Errorf("a trial that was broken off is held against the hub: %+v", o.noted)
		}
		if tried := a.Try(t.Context(), h.peer()); tried.Passed || tried.Detail == "" {
			t.Errorf("after Close: %+v", tried)
		}
	})
}

func TestTrialIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(base)
		h.delay = 29 * time.Second
		o := newOffice()
		began := time.Now()
		got := newAdmitter(t, newMarket(h), o).Try(t.Context(), h.peer())
		if took := time.Since(began); got.Passed || took > TrialTimeout {
			t.Errorf("%v after %v", got, took)
		}
		if len(o.trials(base)) != 1 {
			t.Error("not recorded")
		}
	})
}
