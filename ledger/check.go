package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Report is the outcome of Check.
type Report struct {
	Channels, Open, Holds, Entries, Receipts, Obligations int64
	Violations                                            []Violation
	Truncated                                             bool // there were more violations than maxViolations
}

// Violation is one broken invariant.
type Violation struct {
	Invariant int    // 1…13 of the payments contract
	Subject   string // channel, receipt or hold id
	Detail    string
}

func (v Violation) String() string {
	return fmt.Sprintf("invariant %d: %s: %s", v.Invariant, v.Subject, v.Detail)
}

// maxViolations bounds a report; where so much is wrong, more of it helps nobody.
const maxViolations = 1000

// Check verifies every invariant over the stored rows while the ledger works. It
// takes each channel's lock in turn.
//
// Of the thirteen, 1 to 7 and 12 are checked in full. 8 to 11 and 13 speak of the
// escrow contract, authorizations, fees and verification, of which this ledger
// stores nothing: they hold because there is nothing to break them.
func (l *Ledger) Check(ctx context.Context) (Report, error) {
	c := checker{st: l.c.Storage, lock: func(id string) func() {
		s := l.lock(id)
		return func() { l.unlock(id, s) }
	}}
	return c.run(ctx)
}

// CheckStorage is Check for rows that no Ledger is open on: a stopped or crashed
// hub's, read-only.
func CheckStorage(ctx context.Context, st Storage) (Report, error) {
	c := checker{st: st, lock: func(string) func() { return func() {} }}
	return c.run(ctx)
}

type checker struct {
	st   Storage
	lock func(id string) (unlock func())
	rep  Report

	deposits, used, paid, liable, owed Money // over all channels
}

func (c *checker) violated(invariant int, subject, format string, args ...any) {
	if len(c.rep.Violations) >= maxViolations {
		c.rep.Truncated = true
		return
	}
	c.rep.Violations = append(c.rep.Violations, Violation{invariant, subject, fmt.Sprintf(format, args...)})
}

func (c *checker) run(ctx context.Context) (Report, error) {
	var ids []string
	err := c.st.Scan(ctx, []byte(rangeChannel), nil, func(key, _ []byte) (bool, error) {
		ids = append(ids, string(key[len(rangeChannel):]))
		return true, ctx.Err()
	})
	if err != nil {
		return c.rep, readFailed(err)
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return c.rep, err
		}
		if err := c.channel(ctx, id); err != nil {
			return c.rep, readFailed(err)
		}
	}
	if c.deposits-c.used-c.paid != c.liable+c.owed {
		c.violated(6, "hub", "deposits %s − used %s − paid %s is not liability %s + owed %s", c.deposits, c.used, c.paid, c.liable, c.owed)
	}
	for _, pass := range []func(context.Context) error{c.orphans, c.expiries, c.obligations, c.fundings, c.receipts, c.answers} {
		if err := pass(ctx); err != nil {
			return c.rep, readFailed(err)
		}
	}
	return c.rep, nil
}

// view is a channel's rows as of one channel row.
type view struct {
	acc        account
	entries    []entry
	holds      map[string]held
	spents     map[string]spent
	obligation *Obligation
	expiry     bool
	damage     []string
}

// channel checks one channel. Without a lock its rows are read again while another
// process changes them.
func (c *checker) channel(ctx context.Context, id string) error {
	defer c.lock(id)()
	key := appendChannelKey(nil, id)
	for range loadAttempts {
		row, err := c.st.Get(ctx, key)
		if err != nil {
			return err
		}
		v, err := c.view(ctx, id, row)
		if err != nil {
			return err
		}
		again, err := c.st.Get(ctx, key)
		if err != nil {
			return err
		}
		if string(again) == string(row) {
			c.judge(id, v)
			return c.delivered(ctx, id, v)
		}
	}
	return ErrBusy
}

func (c *checker) view(ctx context.Context, id string, row []byte) (*view, error) {
	v := &view{holds: make(map[string]held), spents: make(map[string]spent)}
	damaged := func(what string, err error) { v.damage = append(v.damage, what+": "+err.Error()) }
	var err error
	if v.acc, err = decodeAccount(id, row); err != nil {
		damaged("channel row", err)
		return v, nil
	}
	scan := func(keyRange string, fn func(rest string, value []byte) error) error {
		prefix := appendOfChannel(nil, keyRange, id)
		return c.st.Scan(ctx, prefix, nil, func(key, value []byte) (bool, error) {
			rest := string(key[len(prefix):])
			if err := fn(rest, value); err != nil {
				damaged(fmt.Sprintf("%s%q", keyRange, rest), err)
			}
			return true, ctx.Err()
		})
	}
	err = errors.Join(
		scan(rangeJournal, func(rest string, value []byte) (err error) {
			if len(rest) != 8 {
				return errShort
			}
			v.entries, err = decodeEntries(v.entries, binary.BigEndian.Uint64([]byte(rest)), value)
			return err
		}),
		scan(rangeHeld, func(ref string, value []byte) (err error) {
			v.holds[ref], err = decodeHeld(value)
			return err
		}),
		scan(rangeSpent, func(ref string, value []byte) (err error) {
			v.spents[ref], err = decodeSpent(value)
			return err
		}),
	)
	if err != nil {
		return nil, err
	}
	switch row, err := c.st.Get(ctx, appendObligationKey(nil, id)); {
	case err == nil:
		o, err := decodeObligation(id, row)
		if err != nil {
			damaged("obligation", err)
		}
		v.obligation = &o
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	switch _, err := c.st.Get(ctx, appendExpiryKey(nil, v.acc.ExpiresAt, id)); {
	case err == nil:
		v.expiry = true
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	return v, nil
}

// delivered checks that every charged receipt is still there, unless its period
// was dropped, and that demo deposits with a transaction are marked as used.
func (c *checker) delivered(ctx context.Context, id string, v *view) error {
	for ref, s := range v.spents {
		if s.nonce == "" {
			continue
		}
		period := receiptPeriodOf(s.at)
		row, err := c.st.Get(ctx, appendPeriodKey(nil, rangeReceipt, period, s.nonce))
		if err == nil {
			if i, err := decodeIssued(row); err != nil || i.channel != id || i.ref != ref {
				c.violated(12, s.nonce, "receipt row does not belong to %s of %s (%v)", ref, id, err)
			}
			continue
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		dropped, err := c.droppedBefore(ctx)
		if err != nil {
			return err
		}
		if uint64(period) >= dropped {
			c.violated(12, s.nonce, "captured call %s of %s has no receipt", ref, id)
		}
	}
	if v.acc.Mode != Demo || !isTx(v.acc.TxHash) {
		return nil
	}
	row, err := c.st.Get(ctx, depositKey(v.acc.Chain, v.acc.TxHash))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if by, _ := decodeFunded(row); by != id {
		c.violated(5, id, "its deposit %s on %s is credited to %q", v.acc.TxHash, v.acc.Chain, by)
	}
	return nil
}

// droppedBefore is the period before which receipts may be gone.
func (c *checker) droppedBefore(ctx context.Context) (uint64, error) {
	row, err := c.st.Get(ctx, []byte(keyDropped))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return decodeCount(row)
}

// known reports whether a channel row is there.
func (c *checker) known(ctx context.Context, id string) (bool, error) {
	if !validChannelID(id) {
		return false, nil
	}
	_, err := c.st.Get(ctx, appendChannelKey(nil, id))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// orphans finds rows whose channel is not there, visiting each channel once.
func (c *checker) orphans(ctx context.Context) error {
	for _, keyRange := range []string{rangeJournal, rangeHeld, rangeSpent} {
		var from []byte
		for {
			var id string
			found := false
			err := c.st.Scan(ctx, []byte(keyRange), from, func(key, _ []byte) (bool, error) {
				found = true
				channel, _, ok := splitOfChannel(keyRange, key)
				if !ok {
					c.violated(12, string(key), "no such kind of key")
					from = append(append([]byte(nil), key...), 0)
					return false, ctx.Err()
				}
				id = channel
				from = appendOfChannel(nil, keyRange, id)
				from[len(from)-1]++ // past every key of this channel
				return false, ctx.Err()
			})
			if err != nil {
				return err
			}
			if !found {
				break
			}
			if id == "" {
				continue
			}
			if ok, err := c.known(ctx, id); err != nil {
				return err
			} else if !ok {
				c.violated(12, id, "rows in %s belong to a channel that is not there", keyRange)
			}
		}
	}
	return nil
}

// expiries checks that the expiry rows are those of open channels and no others.
func (c *checker) expiries(ctx context.Context) error {
	return c.st.Scan(ctx, []byte(rangeExpiry), nil, func(key, value []byte) (bool, error) {
		rest := string(key[len(rangeExpiry):])
		if len(rest) != 8+channelIDLen || len(value) != 0 || !validChannelID(rest[8:]) {
			c.violated(12, rest, "damaged expiry row")
			return true, ctx.Err()
		}
		id := rest[8:]
		row, err := c.st.Get(ctx, appendChannelKey(nil, id))
		if errors.Is(err, ErrNotFound) {
			c.violated(12, id, "expiry row of a channel that is not there")
			return true, ctx.Err()
		}
		if err != nil {
			return false, err
		}
		acc, err := decodeAccount(id, row)
		if err != nil || acc.Status == StatusOpen && uint64(acc.ExpiresAt.Unix()) == binary.BigEndian.Uint64([]byte(rest)) {
			return true, ctx.Err()
		}
		// The channel may have ended since the scan began; then the row is gone too.
		if _, err := c.st.Get(ctx, key); err == nil {
			c.violated(12, id, "expiry row of a channel that is %s, or at another time than its own", acc.Status)
		} else if !errors.Is(err, ErrNotFound) {
			return false, err
		}
		return true, ctx.Err()
	})
}

func (c *checker) obligations(ctx context.Context) error {
	return c.st.Scan(ctx, []byte(rangeObligation), nil, func(key, _ []byte) (bool, error) {
		c.rep.Obligations++
		id := string(key[len(rangeObligation):])
		ok, err := c.known(ctx, id)
		if err == nil && !ok {
			c.violated(4, id, "obligation of a channel that is not there")
		}
		return true, err
	})
}

func (c *checker) fundings(ctx context.Context) error {
	return c.st.Scan(ctx, []byte(rangeDeposit), nil, func(key, value []byte) (bool, error) {
		id, err := decodeFunded(value)
		if err != nil {
			c.violated(5, fmt.Sprintf("%x", key[len(rangeDeposit):]), "damaged deposit row: %v", err)
			return true, nil
		}
		ok, err := c.known(ctx, id)
		if err == nil && !ok {
			c.violated(5, id, "deposit is used by a channel that is not there")
		}
		return true, err
	})
}

func (c *checker) receipts(ctx context.Context) error {
	return c.st.Scan(ctx, []byte(rangeReceipt), nil, func(key, value []byte) (bool, error) {
		c.rep.Receipts++
		rest := key[len(rangeReceipt):]
		if len(rest) < 4 {
			c.violated(12, string(key), "no such kind of key")
			return true, nil
		}
		nonce := string(rest[4:])
		i, err := decodeIssued(value)
		if err != nil || receiptPeriodOf(i.at) != binary.BigEndian.Uint32(rest) {
			c.violated(12, nonce, "damaged receipt row, or in another period than its time's (%v)", err)
			return true, nil
		}
		if i.channel == "" {
			return true, nil
		}
		row, err := c.st.Get(ctx, appendSpentKey(nil, i.channel, i.ref))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		if s, derr := decodeSpent(row); err != nil || derr != nil || s.move != moveCapture || s.nonce != nonce {
			c.violated(2, nonce, "receipt without the capture of %s on %s", i.ref, i.channel)
		}
		return true, nil
	})
}

func (c *checker) answers(ctx context.Context) error {
	return c.st.Scan(ctx, []byte(rangeAnswer), nil, func(key, value []byte) (bool, error) {
		scope := strings.ToValidUTF8(string(key[min(len(rangeAnswer)+4, len(key)):]), "?")
		a, err := decodeAnswer(value)
		if err != nil {
			c.violated(12, scope, "damaged answer row: %v", err)
			return true, nil
		}
		if a.channel != "" {
			ok, err := c.known(ctx, a.channel)
			if err == nil && !ok {
				c.violated(12, scope, "answers with channel %s, which is not there", a.channel)
			}
			return true, err
		}
		return true, nil
	})
}
