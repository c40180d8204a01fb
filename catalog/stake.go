package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/internal/store"
)

// StakeRequest declares a stake. It is recorded as unverified.
type StakeRequest struct {
	PublisherID  string
	AmountMicros int64
	TxHash       string
}

// StakeStatus is a publisher's standing.
type StakeStatus struct {
	PublisherID string
	StakeMicros int64
	TrustScore  float64
	Verified    bool // a chain confirmed it; nothing does yet
}

// Bounds on stakes.
const (
	MaxStakes    = 200_000 // declarations that are remembered
	maxTxLen     = 128
	stakeVersion = 1
)

// Stake adds a declared stake to a publisher's. A transaction counts once, whoever
// sends it; in production there is no stake without one.
func (c *Catalog) Stake(ctx context.Context, r StakeRequest) (StakeStatus, error) {
	if err := checkPublisher(r.PublisherID); err != nil {
		return StakeStatus{}, refuse(GatePublisher, err, "%v", err)
	}
	if r.AmountMicros <= 0 || r.AmountMicros > maxStakeMicros {
		return StakeStatus{}, refuse(GateStake, nil, "amount_usd must be above 0 and at most %s", usdText(maxStakeMicros))
	}
	tx := strings.ToLower(strings.TrimSpace(r.TxHash))
	if tx == "" && c.cfg.Production {
		return StakeStatus{}, refuse(GateStakeTx, nil, "tx_hash is required: the transaction that paid the stake")
	}
	if tx != "" && (len(tx) > maxTxLen || !slug(tx, "._-:")) {
		return StakeStatus{}, refuse(GateShape, nil, "tx_hash must be at most %d letters, digits and . _ - :", maxTxLen)
	}
	if err := ctx.Err(); err != nil {
		return StakeStatus{}, fmt.Errorf("catalog: stake of %s: %w", r.PublisherID, err)
	}
	c.mu.Lock()
	st, commit, err := c.stakeLocked(r, tx)
	c.mu.Unlock()
	if err == nil {
		err = commit.Wait()
	}
	var gate *GateError
	if errors.As(err, &gate) {
		return StakeStatus{}, err
	}
	if err != nil {
		return StakeStatus{}, fmt.Errorf("catalog: stake of %s: %w", r.PublisherID, err)
	}
	return st, nil
}

func (c *Catalog) stakeLocked(r StakeRequest, tx string) (StakeStatus, *store.Commit, error) {
	if tx != "" {
		used, err := c.cfg.Store.Has(joinKey(rangeStakeTx, tx))
		if err != nil {
			return StakeStatus{}, nil, err
		}
		if used {
			return StakeStatus{}, nil, refuse(GateReplay, nil, "transaction %s was already counted as a stake", clip(tx))
		}
	}
	if c.stakes >= MaxStakes {
		return StakeStatus{}, nil, refuse(GateCapacity, ErrFull, "this hub remembers %d stakes and takes no more", MaxStakes)
	}
	st, err := c.stakeOf(r.PublisherID)
	if err != nil {
		return StakeStatus{}, nil, err
	}
	known := st.StakeMicros > 0
	if st.StakeMicros > maxStakeMicros-r.AmountMicros {
		return StakeStatus{}, nil, refuse(GateStake, nil, "the stake of %s would pass %s USD", r.PublisherID, usdText(maxStakeMicros))
	}
	st.StakeMicros += r.AmountMicros
	st.TrustScore = StakeTrust(st.StakeMicros, c.cfg.MinStake)
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	b.Set(joinKey(rangeStake, r.PublisherID), appendStake(nil, st))
	if tx != "" {
		b.Set(joinKey(rangeStakeTx, tx), appendText([]byte{stakeVersion}, r.PublisherID))
	}
	commit, err := c.cfg.Store.Apply(b)
	if err != nil {
		return StakeStatus{}, nil, err
	}
	if !known {
		c.stakes++
	}
	if tx != "" {
		c.stakes++
	}
	return st, commit, nil
}

// countStakes counts what MaxStakes bounds: publishers and transactions.
func (c *Catalog) countStakes() error {
	for _, rng := range []string{rangeStake, rangeStakeTx} {
		err := c.cfg.Store.Scan([]byte(rng), nil, func(_, _ []byte) (bool, error) {
			c.stakes++
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stakeOf reads a publisher's standing; zero for one that never staked.
func (c *Catalog) stakeOf(publisher string) (StakeStatus, error) {
	value, err := c.cfg.Store.Get(joinKey(rangeStake, publisher))
	if errors.Is(err, store.ErrNotFound) {
		return StakeStatus{PublisherID: publisher, TrustScore: StakeTrust(0, c.cfg.MinStake)}, nil
	}
	if err != nil {
		return StakeStatus{}, fmt.Errorf("read stake of %s: %w", publisher, err)
	}
	st, err := decodeStake(publisher, value)
	st.TrustScore = StakeTrust(st.StakeMicros, c.cfg.MinStake)
	return st, err
}

func appendStake(dst []byte, st StakeStatus) []byte {
	var verified byte
	if st.Verified {
		verified = 1
	}
	return binary.AppendUvarint(append(dst, stakeVersion, verified), uint64(st.StakeMicros))
}

func decodeStake(publisher string, value []byte) (StakeStatus, error) {
	rd := reader{b: value}
	version, verified := rd.byte(), rd.byte()
	st := StakeStatus{PublisherID: publisher, StakeMicros: rd.uvarint(maxStakeMicros), Verified: verified == 1}
	if rd.err != nil || version != stakeVersion || verified > 1 || len(rd.b) > 0 {
		return StakeStatus{PublisherID: publisher}, fmt.Errorf("%w: stake of %s", ErrCorrupt, publisher)
	}
	return st, nil
}
