package ledger

import "fmt"

// judge rebuilds a channel from its journal with the same pure transition that
// wrote it, and compares everything else that is stored about it.
func (c *checker) judge(id string, v *view) {
	c.rep.Channels++
	c.rep.Entries += int64(len(v.entries))
	c.rep.Holds += int64(len(v.holds))
	for _, d := range v.damage {
		c.violated(12, id, "damaged row: %s", d)
	}
	if len(v.damage) > 0 {
		return // the rest would only repeat it
	}
	if v.acc.Status == StatusOpen {
		c.rep.Open++
	}
	if err := v.acc.balanced(); err != nil {
		c.violated(1, id, "%v", err)
	}
	r := c.replay(id, v)
	c.compare(id, v, r)
	c.ending(id, v, r)
	c.deposits += v.acc.Deposit
	c.used += v.acc.Used
	c.liable += v.acc.Held
	c.paid += r.books[bookPaid]
	if v.acc.Status == StatusOpen {
		c.liable += v.acc.Balance
	} else if v.obligation != nil && v.obligation.Status == StatusOwed {
		c.owed += v.obligation.Amount
	}
}

// replayed is what the journal alone says.
type replayed struct {
	channel Channel
	books   [bookCount]Money
	holds   map[string]Money
	ends    map[string]spent
}

func (c *checker) replay(id string, v *view) *replayed {
	r := &replayed{channel: Channel{ID: id}, holds: make(map[string]Money), ends: make(map[string]spent)}
	for i := range v.entries {
		e := &v.entries[i]
		if e.seq != uint64(i+1) {
			c.violated(12, id, "journal entry %d stands where %d belongs", e.seq, i+1)
			return r
		}
		if rl := rules[e.move]; e.from != rl.from || e.to != rl.to {
			c.violated(1, id, "journal entry %d: %s posts from account %d to %d", e.seq, e.move, e.from, e.to)
		}
		r.books[e.from] -= e.amount
		r.books[e.to] += e.amount
		next, _, err := transition(r.channel, event{e.move, e.amount, e.ref, unixMilli(e.at)})
		if err != nil {
			c.violated(1, id, "journal entry %d (%s of %s) does not follow: %v", e.seq, e.move, e.amount, err)
			return r
		}
		r.channel = next
		c.follow(id, e, r)
	}
	return r
}

// follow keeps the state of each receipt id through the journal.
func (c *checker) follow(id string, e *entry, r *replayed) {
	_, ended := r.ends[e.ref]
	amount, live := r.holds[e.ref]
	switch e.move {
	case moveHold, moveDebit:
		if live || ended {
			c.violated(3, id, "journal entry %d: %s of receipt %s, which was used before", e.seq, e.move, e.ref)
		}
		if e.move == moveHold {
			r.holds[e.ref] = e.amount
		} else {
			r.ends[e.ref] = spent{move: e.move, amount: e.amount, at: e.at}
		}
	case moveCapture, moveRelease, moveReap, moveLost:
		if !live {
			c.violated(7, id, "journal entry %d: %s of receipt %s without a hold", e.seq, e.move, e.ref)
		} else if amount != e.amount {
			c.violated(7, id, "journal entry %d: %s of %s from a hold of %s", e.seq, e.move, e.amount, amount)
		}
		delete(r.holds, e.ref)
		r.ends[e.ref] = spent{move: e.move, amount: e.amount, at: e.at}
	}
}

// compare holds the rows against the journal.
func (c *checker) compare(id string, v *view, r *replayed) {
	got, want := &v.acc.Channel, &r.channel
	if got.Deposit != want.Deposit || got.Balance != want.Balance || got.Used != want.Used || got.Held != want.Held || got.Refunded != want.Refunded {
		c.violated(1, id, "row says deposit %d, free %d, used %d, held %d, refunded %d; its journal says %d, %d, %d, %d, %d",
			got.Deposit, got.Balance, got.Used, got.Held, got.Refunded, want.Deposit, want.Balance, want.Used, want.Held, want.Refunded)
	}
	if got.Seq != want.Seq || got.Status != want.Status || got.Calls != want.Calls || !got.ClosedAt.Equal(want.ClosedAt) {
		c.violated(12, id, "row says entry %d, %s, %d calls, closed %s; its journal says %d, %s, %d, %s",
			got.Seq, got.Status, got.Calls, got.ClosedAt, want.Seq, want.Status, want.Calls, want.ClosedAt)
	}
	b := &r.books
	if sum := b[bookFree] + b[bookOwed] + b[bookPaid]; -b[bookSource] != got.Deposit || sum != got.Balance || b[bookHeld] != got.Held || b[bookUsed] != got.Used {
		c.violated(1, id, "postings give deposit %d, free and owed %d, held %d, used %d", -b[bookSource], sum, b[bookHeld], b[bookUsed])
	}
	for n, amount := range b {
		if amount < 0 && book(n) != bookSource {
			c.violated(1, id, "account %d is overdrawn: %d", n, amount)
		}
	}
	var heldSum, billed Money
	for ref, h := range v.holds {
		heldSum += h.amount
		if amount, ok := r.holds[ref]; !ok || amount != h.amount {
			c.violated(3, id, "held row %s of %s; its journal holds %s (%t)", ref, h.amount, amount, ok)
		}
		if _, both := v.spents[ref]; both {
			c.violated(3, id, "receipt %s is held and resolved", ref)
		}
	}
	if heldSum != got.Held || len(v.holds) != len(r.holds) {
		c.violated(1, id, "%d held rows of %s; the channel holds %s for %d calls", len(v.holds), heldSum, got.Held, len(r.holds))
	}
	for ref, s := range v.spents {
		if s.billed() {
			billed += s.amount
		}
		if e, ok := r.ends[ref]; !ok || e.move != s.move || e.amount != s.amount || e.at != s.at {
			c.violated(3, id, "receipt row %s is %s of %s; its journal says %s of %s (%t)", ref, s.move, s.amount, e.move, e.amount, ok)
		}
	}
	if len(v.spents) != len(r.ends) {
		c.violated(3, id, "%d receipt rows, %d in the journal", len(v.spents), len(r.ends))
	}
	if billed != got.Used+got.Refunded {
		c.violated(2, id, "debited receipts sum to %s, used + refunded is %s", billed, got.Used+got.Refunded)
	}
}

// ending checks what an open and an ended channel must and must not have.
func (c *checker) ending(id string, v *view, r *replayed) {
	ch, o := &v.acc.Channel, v.obligation
	if ch.Status == StatusOpen {
		if !v.expiry {
			c.violated(12, id, "open channel will never expire: no expiry row")
		}
		if o != nil {
			c.violated(4, id, "open channel has an obligation of %s", o.Amount)
		}
		return
	}
	if v.expiry {
		c.violated(12, id, "%s channel still has an expiry row", ch.Status)
	}
	if ch.Held != 0 || len(v.holds) != 0 {
		c.violated(4, id, "%s channel holds %s for %d calls", ch.Status, ch.Held, len(v.holds))
	}
	if (o != nil) != (ch.Balance > 0) {
		c.violated(4, id, "%s channel with remainder %s: obligation is %s", ch.Status, ch.Balance, describe(o))
		return
	}
	if o == nil {
		return
	}
	kind := CloseRemainder
	if ch.Status == StatusExpired {
		kind = ExpiryRemainder
	}
	if o.Amount != ch.Balance || o.Mode != ch.Mode || o.Kind != kind {
		c.violated(4, id, "%s channel owes %s of %s money; obligation is %s", ch.Status, ch.Balance, ch.Mode, describe(o))
	}
	if paid := r.books[bookPaid]; (o.Status == StatusPaid) != (paid > 0) {
		c.violated(6, id, "obligation is %s, the journal paid %s", describe(o), paid)
	}
}

func describe(o *Obligation) string {
	if o == nil {
		return "missing"
	}
	return fmt.Sprintf("%s, %s of %s money, %s", o.Kind, o.Amount, o.Mode, o.Status)
}
