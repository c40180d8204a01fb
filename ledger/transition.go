package ledger

import (
	"fmt"
	"time"
)

// move is the kind of a journal entry. Values are stored: only ever add.
type move uint8

const (
	moveOpen    move = 1  // deposit credited
	moveHold    move = 2  // price reserved
	moveCapture move = 3  // reserved price earned
	moveRelease move = 4  // reserved price returned by the call's exit
	moveReap    move = 5  // … because the hold was too old
	moveLost    move = 6  // … because its process died before an answer left
	moveDebit   move = 7  // charged at once
	moveRefund  move = 8  // earned money given back
	moveSettle  move = 9  // closed by its owner
	moveExpire  move = 10 // closed by its age
	movePaid    move = 11 // remainder paid out
	moveRekey   move = 12 // secret replaced; moves nothing
)

// book is an account of the double entry. Values are stored: only ever add.
type book uint8

const (
	bookNone   book = 0 // for entries that move nothing
	bookSource book = 1 // the depositor's side: what came in is negative here
	bookFree   book = 2 // spendable
	bookHeld   book = 3 // reserved for running calls
	bookUsed   book = 4 // earned
	bookOwed   book = 5 // remainder of an ended channel
	bookPaid   book = 6 // remainder paid out
	bookCount       = 7
)

// rule is one row of the transition table: which status a move needs, the status
// it leads to, and the two accounts it posts to.
type rule struct {
	name       string
	need, next Status // "" any, unchanged
	from, to   book
}

var rules = [...]rule{
	moveOpen:    {"open", "", StatusOpen, bookSource, bookFree},
	moveHold:    {"hold", StatusOpen, "", bookFree, bookHeld},
	moveCapture: {"capture", StatusOpen, "", bookHeld, bookUsed},
	moveRelease: {"release", StatusOpen, "", bookHeld, bookFree},
	moveReap:    {"reap", StatusOpen, "", bookHeld, bookFree},
	moveLost:    {"lost", StatusOpen, "", bookHeld, bookFree},
	moveDebit:   {"debit", StatusOpen, "", bookFree, bookUsed},
	moveRefund:  {"refund", StatusOpen, "", bookUsed, bookFree},
	moveSettle:  {"settle", StatusOpen, StatusSettled, bookFree, bookOwed},
	moveExpire:  {"expire", StatusOpen, StatusExpired, bookFree, bookOwed},
	movePaid:    {"paid", "", "", bookOwed, bookPaid},
	moveRekey:   {"rekey", StatusOpen, "", bookNone, bookNone},
}

func (m move) valid() bool { return m >= moveOpen && int(m) < len(rules) }

func (m move) String() string {
	if !m.valid() {
		return fmt.Sprintf("move(%d)", uint8(m))
	}
	return rules[m].name
}

// event asks for one transition.
type event struct {
	move   move
	amount Money
	ref    string // receipt id, or payout transaction
	at     time.Time
}

// entry is one line of a channel's journal: amount leaves from and reaches to, so
// its postings sum to zero by form.
type entry struct {
	seq      uint64
	move     move
	at       int64 // Unix milliseconds
	amount   Money
	from, to book
	ref      string
}

// transition is the whole life of a channel's money: it takes a channel and an
// event and returns the channel after it and the journal entry that says so. It
// decides nothing about who may ask; it refuses whatever would break the books.
func transition(c Channel, e event) (Channel, entry, error) {
	if !e.move.valid() {
		return c, entry{}, invalid("unknown move %d", e.move)
	}
	r := rules[e.move]
	if (c.Seq == 0) != (e.move == moveOpen) {
		return c, entry{}, invalid("%s does not fit entry %d of a journal", r.name, c.Seq+1)
	}
	if r.need != "" && c.Status != r.need {
		return c, entry{}, &Error{Kind: KindChannelNotOpen, Detail: "channel not open", Status: c.Status}
	}
	if e.amount < 0 {
		return c, entry{}, invalid("amount %d is negative", int64(e.amount))
	}
	next := c
	switch e.move {
	case moveOpen:
		next.Deposit, next.Balance = e.amount, e.amount
	case moveHold, moveDebit:
		if e.amount > c.Balance {
			return c, entry{}, &Error{Kind: KindInsufficient, Detail: "insufficient balance", Needed: e.amount, Balance: c.Balance}
		}
		next.Balance -= e.amount
		if e.move == moveHold {
			next.Held += e.amount
		} else {
			next.Used += e.amount
			next.Calls++
		}
	case moveCapture:
		next.Held -= e.amount
		next.Used += e.amount
		next.Calls++
	case moveRelease, moveReap, moveLost:
		next.Held -= e.amount
		next.Balance += e.amount
	case moveRefund:
		refunded, err := c.Refunded.Add(e.amount)
		if err != nil {
			return c, entry{}, err
		}
		next.Used -= e.amount
		next.Balance += e.amount
		next.Refunded = refunded
	case moveSettle, moveExpire:
		if c.Held != 0 {
			return c, entry{}, &Error{Kind: KindPending, Detail: fmt.Sprintf("channel holds %s for running calls", c.Held)}
		}
		if e.amount != c.Balance {
			return c, entry{}, invalid("the remainder is %s, not %s", c.Balance, e.amount)
		}
	case movePaid:
		if c.Status == StatusOpen || e.amount != c.Balance {
			return c, entry{}, invalid("%s channel owes %s, not %s", c.Status, c.Balance, e.amount)
		}
	}
	if r.next != "" {
		next.Status = r.next
	}
	if next.Status != StatusOpen && c.Status == StatusOpen {
		next.ClosedAt = e.at.UTC().Truncate(time.Second)
	}
	next.Seq++
	if err := next.balanced(); err != nil {
		return c, entry{}, fmt.Errorf("ledger: %s of %s on %s: %w", r.name, e.amount, c.ID, err)
	}
	return next, entry{seq: next.Seq, move: e.move, at: e.at.UnixMilli(), amount: e.amount, from: r.from, to: r.to, ref: e.ref}, nil
}

// balanced asserts invariant 1 and the cheap half of 4.
func (c *Channel) balanced() error {
	if c.Deposit < 0 || c.Balance < 0 || c.Used < 0 || c.Held < 0 || c.Refunded < 0 {
		return corrupt("balance", c.ID, fmt.Errorf("an amount is negative: deposit %d, free %d, used %d, held %d, refunded %d",
			c.Deposit, c.Balance, c.Used, c.Held, c.Refunded))
	}
	if c.Balance > c.Deposit || c.Used > c.Deposit || c.Held > c.Deposit || c.Deposit != c.Balance+c.Used+c.Held {
		return corrupt("balance", c.ID, fmt.Errorf("deposit %d is not free %d + used %d + held %d", c.Deposit, c.Balance, c.Used, c.Held))
	}
	if c.Status != StatusOpen && c.Held != 0 {
		return corrupt("balance", c.ID, fmt.Errorf("%s with %d held", c.Status, c.Held))
	}
	return nil
}
