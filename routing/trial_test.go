package routing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func openStore(t testing.TB, fs vfs.FS) *store.DB {
	t.Helper()
	db, err := store.Open("hub", store.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func visit(visitor, capability string) Call {
	c := call1(capability, `{"text":"hi"}`)
	c.Visitor = visitor
	return c
}

func TestThreeTrialsForLife(t *testing.T) {
	fs := vfs.NewMem()
	db := openStore(t, fs)
	h := newHub(t, func(c *Config) { c.Store = db })
	for i, want := range []string{`2`, `1`, `0`} {
		_, v := h.mustInvoke(visit("visitor-1", "echo@v1"))
		if v.Get("remaining").Token() != want || v.Get("used").Token() != fmt.Sprint(i+1) {
			t.Errorf("trial %d: %s", i, v.Raw())
		}
	}
	r := h.mustRefuse(visit("visitor-1", "echo@v1"), TrialExhausted)
	if got := field(r, "sandbox"); got != `{"used":3,"max_trials":3,"remaining":0}` {
		t.Errorf("sandbox %s", got)
	}
	h.mustInvoke(visit("visitor-2", "echo@v1")) // another visitor has their own

	// They are for life: a restart forgets none.
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openStore(t, fs)
	t.Cleanup(func() { db.Close() })
	h.config.Store = db
	var err error
	if h.Router, err = New(t.Context(), h.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(context.Background()) })
	h.mustRefuse(visit("visitor-1", "echo@v1"), TrialExhausted)
	for visitor, want := range map[string]Quota{
		"visitor-1": {true, 3, 3, 0}, "visitor-2": {true, 3, 1, 2}, "visitor-3": {true, 3, 0, 3},
	} {
		if q, err := h.SandboxQuota(t.Context(), visitor); err != nil || q != want {
			t.Errorf("%s: %+v, %v", visitor, q, err)
		}
	}
}

func TestFailedTrialIsGivenBack(t *testing.T) {
	h := newHub(t)
	for _, capability := range []string{"broken@v1", "panics@v1", "picky@v1", "nope@v1", "gone@v1"} {
		_, err := h.Invoke(t.Context(), visit("visitor-1", capability))
		if err == nil {
			t.Fatalf("%s succeeded", capability)
		}
	}
	if q, err := h.SandboxQuota(t.Context(), "visitor-1"); err != nil || q.Used != 0 {
		t.Errorf("quota %+v, %v", q, err)
	}
	if n := len(h.trials.users); n != 0 {
		t.Errorf("%d visitors are still in memory", n)
	}
}

func TestTrialsPerAddress(t *testing.T) {
	h := newHub(t, func(c *Config) { c.SandboxPerIPHour = 2 })
	h.mustInvoke(visit("visitor-1", "echo@v1"))
	h.mustInvoke(visit("visitor-2", "echo@v1"))
	r := h.mustRefuse(visit("visitor-3", "echo@v1"), TrialRateLimited)
	if r.RetryAfter <= 0 || field(r, "sandbox") != `{"used":0,"max_trials":3,"remaining":3}` {
		t.Errorf("retry after %s, sandbox %s", r.RetryAfter, field(r, "sandbox"))
	}
	h.mustInvoke(h.paid()) // paying is not rationed
}

func TestSandboxTurnedOff(t *testing.T) {
	h := newHub(t, func(c *Config) { c.SandboxTrials = 0 })
	h.mustRefuse(visit("visitor-1", "echo@v1"), PaymentRequired)
	c := h.paid()
	c.Visitor = "visitor-1" // some clients send it with every request
	h.mustInvoke(c)
	if q, err := h.SandboxQuota(t.Context(), "visitor-1"); err != nil || q != (Quota{}) {
		t.Errorf("quota %+v, %v", q, err)
	}
}

func TestVisitorShape(t *testing.T) {
	for id, ok := range map[string]bool{
		"12345678": true, strings.Repeat("a", 64): true, "A-b_c-d_9": true,
		"1234567": false, strings.Repeat("a", 65): false, "visitor/1": false, "visitör-1": false, "visitor 1": false, "": false,
	} {
		if got := validVisitor(id); got != ok {
			t.Errorf("%q: %v", id, got)
		}
	}
	h := newHub(t)
	_, err := h.SandboxQuota(t.Context(), "v")
	var r *Refusal
	if !errors.As(err, &r) || r.Kind != SandboxInvalid {
		t.Errorf("quota of a malformed visitor: %v", err)
	}
}

// Many calls of one visitor at once get exactly the trials there are.
func TestConcurrentTrials(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	defer db.Close()
	h := newHub(t, func(c *Config) { c.Store, c.SandboxPerIPHour = db, 0 })
	defer h.Close(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	served := map[string]int{}
	for i := range 60 {
		wg.Go(func() {
			visitor := fmt.Sprint("visitor-", i%4)
			capability := "echo@v1"
			if i%7 == 0 {
				capability = "broken@v1"
			}
			if _, err := h.Invoke(context.Background(), visit(visitor, capability)); err == nil {
				mu.Lock()
				served[visitor]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for visitor, n := range served {
		if n > 3 {
			t.Errorf("%s had %d trials", visitor, n)
		}
		if q, _ := h.SandboxQuota(t.Context(), visitor); q.Used != n {
			t.Errorf("%s had %d trials, counted %d", visitor, n, q.Used)
		}
	}
}

func TestDamagedTrialRow(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	defer db.Close()
	for i, row := range [][]byte{{}, {9, 1}, {1}, {1, 0x80}, {1, 1, 1}} {
		b := db.NewBatch()
		b.Set([]byte(trialRange+"visitor-1"), row)
		if err := db.Write(b); err != nil {
			t.Fatal(err)
		}
		h := newHub(t, func(c *Config) { c.Store = db })
		h.mustRefuse(visit("visitor-1", "echo@v1"), Internal)
		if len(h.trials.users) != 0 {
			t.Errorf("row %d: the visitor stays in memory", i)
		}
		h.Close(context.Background())
	}
}
