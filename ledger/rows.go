package ledger

import (
	"encoding/binary"
	"time"
)

// Channel row.

var statusCodes = [...]Status{1: StatusOpen, 2: StatusSettled, 3: StatusExpired}

const flagProven = 1

func appendAccount(b []byte, a *account) []byte {
	b = append(b, rowVersion, statusCode(a.Status))
	var flags byte
	if a.proven {
		flags |= flagProven
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, a.Seq)
	b = appendMoney(b, a.Deposit)
	b = appendMoney(b, a.Balance)
	b = appendMoney(b, a.Used)
	b = appendMoney(b, a.Held)
	b = appendMoney(b, a.Refunded)
	b = binary.AppendUvarint(b, uint64(a.Calls))
	b = appendTime(b, a.OpenedAt)
	b = appendTime(b, a.ExpiresAt)
	b = appendTime(b, a.ClosedAt)
	b = binary.AppendUvarint(b, uint64(a.recovered))
	b = append(b, a.secretHash[:]...)
	b = appendString(b, string(a.Mode))
	b = appendString(b, a.Token)
	b = appendString(b, a.Chain)
	b = appendString(b, a.Wallet)
	b = appendString(b, a.TxHash)
	b = appendString(b, a.OwnerKey)
	return appendString(b, a.SettleTxHash)
}

func statusCode(s Status) byte {
	for i, t := range statusCodes {
		if s == t {
			return byte(i)
		}
	}
	return 0
}

func decodeAccount(id string, row []byte) (account, error) {
	r := readRow(row)
	var a account
	a.ID = id
	if code := r.byte(); int(code) < len(statusCodes) && code > 0 {
		a.Status = statusCodes[code]
	} else {
		r.fail(errRange)
	}
	flags := r.byte()
	if flags&^flagProven != 0 {
		r.fail(errRange)
	}
	a.proven = flags&flagProven != 0
	a.Seq = r.uint()
	a.Deposit = r.money()
	a.Balance = r.money()
	a.Used = r.money()
	a.Held = r.money()
	a.Refunded = r.money()
	a.Calls = r.int()
	a.OpenedAt = r.time()
	a.ExpiresAt = r.time()
	a.ClosedAt = r.time()
	a.recovered = r.int()
	r.array(a.secretHash[:])
	a.Mode = Mode(r.string())
	a.Token = r.string()
	a.Chain = r.string()
	a.Wallet = r.string()
	a.TxHash = r.string()
	a.OwnerKey = r.string()
	a.SettleTxHash = r.string()
	if err := r.done(); err != nil {
		return account{}, corrupt("channel", id, err)
	}
	return a, nil
}

// Journal row; the sequence number of its first entry is in the key. A row has one
// entry, or a hold and the end of the same hold that came next: the whole of most
// calls. The second kind carries moveWhole in its move.

const moveWhole move = 0x80

func appendEntry(b []byte, e *entry) []byte {
	b = append(b, rowVersion, byte(e.move), byte(e.from), byte(e.to))
	b = binary.AppendUvarint(b, uint64(e.at))
	b = appendMoney(b, e.amount)
	return append(b, e.ref...)
}

// appendWhole writes a hold and its end, which share amount and receipt id.
func appendWhole(b []byte, hold, end *entry) []byte {
	b = append(b, rowVersion, byte(moveWhole|end.move))
	b = binary.AppendUvarint(b, uint64(hold.at))
	b = binary.AppendUvarint(b, uint64(end.at))
	b = appendMoney(b, end.amount)
	return append(b, end.ref...)
}

// decodeEntries appends the entries of the row whose first one is seq.
func decodeEntries(to []entry, seq uint64, row []byte) ([]entry, error) {
	r := readRow(row)
	m := move(r.byte())
	if m&moveWhole == 0 {
		e := entry{seq: seq, move: m, from: book(r.byte()), to: book(r.byte())}
		if !e.move.valid() || e.from >= bookCount || e.to >= bookCount {
			r.fail(errRange)
		}
		e.at = r.int()
		e.amount = r.money()
		e.ref = string(r.rest())
		return append(to, e), r.done()
	}
	m &^= moveWhole
	if !m.valid() || rules[m].from != bookHeld {
		r.fail(errRange)
		m = moveCapture
	}
	hold := entry{seq: seq, move: moveHold, from: rules[moveHold].from, to: rules[moveHold].to}
	end := entry{seq: seq + 1, move: m, from: rules[m].from, to: rules[m].to}
	hold.at, end.at = r.int(), r.int()
	end.amount = r.money()
	end.ref = string(r.rest())
	hold.amount, hold.ref = end.amount, end.ref
	return append(to, hold, end), r.done()
}

// held is a hold that is not resolved, keyed by channel and receipt id.
type held struct {
	amount Money
	at     int64  // Unix milliseconds
	owner  string // the process that runs the call
}

func appendHeld(b []byte, h *held) []byte {
	b = append(b, rowVersion)
	b = appendMoney(b, h.amount)
	b = binary.AppendUvarint(b, uint64(h.at))
	return append(b, h.owner...)
}

func decodeHeld(row []byte) (held, error) {
	r := readRow(row)
	h := held{amount: r.money(), at: r.int()}
	h.owner = string(r.rest())
	return h, r.done()
}

// spent is a receipt id that can never be used again on its channel: the end of
// its hold, or a debit. It is kept as long as the channel.
type spent struct {
	move   move // moveCapture, moveDebit, or what returned the hold
	amount Money
	at     int64  // Unix milliseconds
	nonce  string // of the stored receipt, "" none
}

// billed reports whether the receipt was charged (invariant 2 sums these).
func (s *spent) billed() bool { return s.move == moveCapture || s.move == moveDebit }

func appendSpent(b []byte, s *spent) []byte {
	b = append(b, rowVersion, byte(s.move))
	b = appendMoney(b, s.amount)
	b = binary.AppendUvarint(b, uint64(s.at))
	return append(b, s.nonce...)
}

func decodeSpent(row []byte) (spent, error) {
	r := readRow(row)
	s := spent{move: move(r.byte()), amount: r.money(), at: r.int()}
	switch s.move {
	case moveCapture, moveDebit, moveRelease, moveReap, moveLost:
	default:
		r.fail(errRange)
	}
	s.nonce = string(r.rest())
	return s, r.done()
}

// issued is a stored receipt, keyed by the period of its issue and its nonce.
type issued struct {
	at      int64  // Unix milliseconds
	channel string // "" for a free call
	ref     string // receipt id on the channel
	receipt []byte
}

func appendIssued(b []byte, i *issued) []byte {
	b = append(b, rowVersion)
	b = binary.AppendUvarint(b, uint64(i.at))
	b = appendString(b, i.channel)
	b = appendString(b, i.ref)
	return append(b, i.receipt...)
}

func decodeIssued(row []byte) (issued, error) {
	r := readRow(row)
	i := issued{at: r.int(), channel: r.string(), ref: r.string()}
	if i.channel != "" && !validChannelID(i.channel) {
		r.fail(errRange)
	}
	i.receipt = r.rest()
	return i, r.done()
}

// answer is what a request id answers again: a body, or the channel it opened.
type answer struct {
	at      int64 // Unix milliseconds
	request [32]byte
	channel string // of an open; body is empty then
	body    []byte
}

func appendAnswer(b []byte, a *answer) []byte {
	b = append(b, rowVersion)
	b = binary.AppendUvarint(b, uint64(a.at))
	b = append(b, a.request[:]...)
	b = appendString(b, a.channel)
	return append(b, a.body...)
}

func decodeAnswer(row []byte) (answer, error) {
	r := readRow(row)
	a := answer{at: r.int()}
	r.array(a.request[:])
	a.channel = r.string()
	if a.channel != "" && !validChannelID(a.channel) {
		r.fail(errRange)
	}
	a.body = r.rest()
	return a, r.done()
}

// Obligation row.

func appendObligation(b []byte, o *Obligation) []byte {
	b = append(b, rowVersion)
	b = appendMoney(b, o.Amount)
	b = appendTime(b, o.CreatedAt)
	b = appendTime(b, o.PaidAt)
	for _, s := range []string{string(o.Mode), o.Wallet, o.Chain, o.Token, o.Kind, o.Status, o.DepositTxHash, o.PayoutTxHash} {
		b = appendString(b, s)
	}
	return b
}

func decodeObligation(channel string, row []byte) (Obligation, error) {
	r := readRow(row)
	o := Obligation{ChannelID: channel, Amount: r.money(), CreatedAt: r.time(), PaidAt: r.time()}
	o.Mode = Mode(r.string())
	for _, s := range []*string{&o.Wallet, &o.Chain, &o.Token, &o.Kind, &o.Status, &o.DepositTxHash, &o.PayoutTxHash} {
		*s = r.string()
	}
	if o.Status != StatusOwed && o.Status != StatusPaid || o.Kind != CloseRemainder && o.Kind != ExpiryRemainder {
		r.fail(errRange)
	}
	if err := r.done(); err != nil {
		return Obligation{}, corrupt("obligation", channel, err)
	}
	return o, nil
}

// funded is a deposit that was credited, keyed by what it may be credited for once.
func appendFunded(b []byte, channel string) []byte {
	return append(append(b, rowVersion), channel...)
}

func decodeFunded(row []byte) (channel string, err error) {
	r := readRow(row)
	channel = string(r.rest())
	if !validChannelID(channel) {
		r.fail(errRange)
	}
	return channel, r.done()
}

func appendCount(b []byte, n uint64) []byte {
	return binary.AppendUvarint(append(b, rowVersion), n)
}

func decodeCount(row []byte) (uint64, error) {
	r := readRow(row)
	n := r.uint()
	return n, r.done()
}

func millis(t time.Time) int64 { return max(t.UnixMilli(), 0) }

func unixMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
