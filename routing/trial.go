package routing

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aimarket/aimarket/internal/limit"
	"github.com/aimarket/aimarket/internal/store"
)

// The shape of a visitor id (HTTP API notes §2).
const (
	minVisitor = 8
	maxVisitor = 64
)

const (
	trialRange   = "routing/trial/"
	trialVersion = 1
)

// trials counts the free calls of each visitor, for life. A trial is reserved
// while its call runs and written down when it was delivered, so a failed or
// crashed call gives it back.
type trials struct {
	max    int
	db     *store.DB // nil: kept in memory
	byAddr *limit.Limiter

	mu    sync.Mutex
	users map[string]*visitor // with a trial reserved or being looked up
	saved map[string]int      // used when db is nil
}

// visitor is one visitor's count while calls of theirs are in flight.
type visitor struct {
	holders  int // guarded by trials.mu; forgotten at zero
	mu       sync.Mutex
	loaded   bool
	used     int
	reserved int
}

// trial is one reserved trial; exactly one of spend and giveBack ends it.
type trial struct {
	t     *trials
	id    string
	v     *visitor
	quota Quota // as the answer shows it, this trial counted
}

func newTrials(c Config) *trials {
	return &trials{
		max: c.SandboxTrials, db: c.Store,
		byAddr: limit.New(limit.Config{Max: c.SandboxPerIPHour, Window: time.Hour, Now: c.Now}),
		users:  map[string]*visitor{}, saved: map[string]int{},
	}
}

// takeTrial applies the sandbox's rules to a call that names a visitor.
func (x *call) takeTrial() *Refusal {
	t := x.r.trials
	if x.Visitor == "" || t.max <= 0 {
		return nil
	}
	if !validVisitor(x.Visitor) {
		return refuse(SandboxInvalid, "X-AIMarket-Sandbox-Visitor must be %d to %d letters, digits, _ or -; send a random id and keep it", minVisitor, maxVisitor)
	}
	if x.ChannelID != "" {
		return refuse(SandboxConflict, "the call names a sandbox visitor and a payment channel; nothing was billed; send one of them: the visitor for a free trial, the channel to pay")
	}
	trial, quota, err := t.reserve(x.Visitor)
	if err != nil {
		return asRefusal(err)
	}
	if trial == nil {
		return refuse(TrialExhausted, "all %d free trials of this visitor are used; open a channel with POST /ai-market/v2/channel/open to go on", quota.MaxTrials).
			withTrials(quota)
	}
	if ok, wait := t.byAddr.Allow(x.ClientKey); !ok {
		trial.giveBack()
		quota.Used, quota.Remaining = quota.Used-1, quota.Remaining+1
		return refuse(TrialRateLimited, "this address has made %d trial calls within an hour; wait %s, or open a channel to go on now",
			x.r.c.SandboxPerIPHour, wait.Round(time.Second)).
			withTrials(quota).retryIn(wait)
	}
	x.trial = trial
	x.info.Sandbox = true
	return nil
}

func validVisitor(id string) bool {
	if len(id) < minVisitor || len(id) > maxVisitor {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !isAlnum(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// reserve takes one trial if there is one left. trial is nil otherwise.
func (t *trials) reserve(id string) (*trial, Quota, error) {
	v := t.hold(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := t.load(id, v); err != nil {
		t.drop(id, v)
		return nil, Quota{}, err
	}
	if v.used+v.reserved >= t.max {
		q := t.quota(v.used + v.reserved)
		t.drop(id, v)
		return nil, q, nil
	}
	v.reserved++
	q := t.quota(v.used + v.reserved)
	return &trial{t: t, id: id, v: v, quota: q}, q, nil
}

func (t *trials) quota(used int) Quota {
	return Quota{Enabled: t.max > 0, MaxTrials: max(t.max, 0), Used: used, Remaining: max(t.max-used, 0)}
}

// hold and drop keep a visitor in memory while somebody uses it, so that two
// calls of one visitor always count on the same number.
func (t *trials) hold(id string) *visitor {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.users[id]
	if v == nil {
		v = &visitor{}
		t.users[id] = v
	}
	v.holders++
	return v
}

func (t *trials) drop(id string, v *visitor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v.holders--; v.holders == 0 {
		delete(t.users, id)
	}
}

// load reads the count once; only calls of the same visitor wait for it.
func (t *trials) load(id string, v *visitor) error {
	if v.loaded {
		return nil
	}
	used, err := t.read(id)
	if err != nil {
		return err
	}
	v.used, v.loaded = used, true
	return nil
}

func (t *trials) read(id string) (int, error) {
	if t.db == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.saved[id], nil
	}
	row, err := t.db.Get([]byte(trialRange + id))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("routing: reading the trials of a visitor: %w", err)
	}
	if len(row) < 2 || row[0] != trialVersion {
		return 0, fmt.Errorf("routing: the trials of visitor %s are stored in a form this version cannot read", id)
	}
	used, n := binary.Uvarint(row[1:])
	if n != len(row)-1 || used > 1<<31 {
		return 0, fmt.Errorf("routing: the stored trials of visitor %s are damaged", id)
	}
	return int(used), nil
}

// spend counts the trial for good and returns when that is on disk.
func (tr *trial) spend() error {
	defer tr.t.drop(tr.id, tr.v)
	commit, err := tr.count()
	if err != nil || commit == nil {
		return err
	}
	return commit.Wait()
}

// count writes under the visitor's lock, which orders the writes; the wait for the
// disk is outside.
func (tr *trial) count() (*store.Commit, error) {
	tr.v.mu.Lock()
	defer tr.v.mu.Unlock()
	tr.v.reserved--
	tr.v.used++
	if tr.t.db == nil {
		tr.t.mu.Lock()
		tr.t.saved[tr.id] = tr.v.used
		tr.t.mu.Unlock()
		return nil, nil
	}
	b := tr.t.db.NewBatch()
	b.Set([]byte(trialRange+tr.id), binary.AppendUvarint([]byte{trialVersion}, uint64(tr.v.used)))
	commit, err := tr.t.db.Apply(b)
	if err != nil {
		b.Close()
	}
	return commit, err
}

// giveBack returns a trial whose call was not delivered.
func (tr *trial) giveBack() {
	tr.v.mu.Lock()
	tr.v.reserved--
	tr.v.mu.Unlock()
	tr.t.drop(tr.id, tr.v)
}

// SandboxQuota is a visitor's standing, trials under way counted as used. A
// malformed visitor id is refused as SandboxInvalid.
func (r *Router) SandboxQuota(ctx context.Context, visitorID string) (Quota, error) {
	if !validVisitor(visitorID) {
		return Quota{}, refuse(SandboxInvalid, "visitor_id must be %d to %d letters, digits, _ or -", minVisitor, maxVisitor)
	}
	if err := ctx.Err(); err != nil {
		return Quota{}, asRefusal(err)
	}
	t := r.trials
	v := t.hold(visitorID)
	defer t.drop(visitorID, v)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := t.load(visitorID, v); err != nil {
		return Quota{}, asRefusal(err)
	}
	return t.quota(v.used + v.reserved), nil
}
