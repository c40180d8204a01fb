package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

func TestSweepsAtStartThenEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var at []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			sweepEvery(ctx, ledger.SweepEvery, func(context.Context) { at = append(at, time.Since(began)) })
		}()
		time.Sleep(2*ledger.SweepEvery + time.Second)
		cancel()
		<-done
		if len(at) != 3 || at[0] != 0 || at[1] != ledger.SweepEvery || at[2] != 2*ledger.SweepEvery {
			t.Errorf("swept at %v, want now and every %s", at, ledger.SweepEvery)
		}
	})
}

func TestNoSweepOfAHubThatStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sweepEvery(ctx, time.Hour, func(context.Context) { t.Error("swept") })
}

// A hub that was down while channels expired settles them when it is back.
func TestStartExpiresWhatIsDue(t *testing.T) {
	dir := t.TempDir()
	h := start(t, testConfig(dir))
	ch := h.open("5")
	h.echo(ch, "")
	h.mustStop()

	c := testConfig(dir)
	c.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	swept := make(chan struct{})
	c.Logger = logOnce(swept, "swept the ledger")
	h = start(t, c)
	select {
	case <-swept:
	case <-time.After(20 * time.Second): // a failure, not a wait
		t.Fatal("nothing was swept at start")
	}
	got, err := h.client.Channel(t.Context(), ch.ID)
	if err != nil || got.Status != string(ledger.StatusExpired) {
		t.Errorf("channel is %q (%v), want expired", got.Status, err)
	}
	if owed := h.ledger.Stats().Owed; owed != 4_999_000 {
		t.Errorf("%d micro-USD owed, want what was left", owed)
	}
	h.mustStop()
	checkFolder(t, dir)
}
