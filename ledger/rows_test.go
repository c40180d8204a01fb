package ledger

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// rowKinds reads a row and writes what was read: a row that is accepted must come
// out as it went in, so that equal states have equal rows.
var rowKinds = []struct {
	name    string
	rewrite func(row []byte) ([]byte, error)
	sample  []byte
}{
	{"channel", func(row []byte) ([]byte, error) {
		a, err := decodeAccount("ch_0123456789abcdef", row)
		return appendAccount(nil, &a), err
	}, appendAccount(nil, &account{Channel: Channel{Status: StatusOpen, Mode: Demo, Deposit: 5 * USD, Balance: 3 * USD, Used: USD, Held: USD, Calls: 7, Seq: 9,
		Token: "USDT", Chain: "base", TxHash: "agent-1", OpenedAt: time.Unix(1764000000, 0), ExpiresAt: time.Unix(1764086400, 0)}, proven: true})},
	{"journal", rewriteEntries, appendEntry(nil, &entry{move: moveHold, at: 1764000000123, amount: 1000, from: bookFree, to: bookHeld, ref: "rcpt_1"})},
	{"journal, whole call", rewriteEntries, appendWhole(nil, &entry{move: moveHold, at: 1764000000123, amount: 1000, ref: "rcpt_1"},
		&entry{move: moveCapture, at: 1764000000456, amount: 1000, ref: "rcpt_1"})},
	{"held", func(row []byte) ([]byte, error) {
		h, err := decodeHeld(row)
		return appendHeld(nil, &h), err
	}, appendHeld(nil, &held{amount: 1000, at: 1764000000123, owner: "front"})},
	{"spent", func(row []byte) ([]byte, error) {
		s, err := decodeSpent(row)
		return appendSpent(nil, &s), err
	}, appendSpent(nil, &spent{move: moveCapture, amount: 1000, at: 1764000000123, nonce: "rcpt_1"})},
	{"receipt", func(row []byte) ([]byte, error) {
		i, err := decodeIssued(row)
		return appendIssued(nil, &i), err
	}, appendIssued(nil, &issued{at: 1764000000123, channel: "ch_0123456789abcdef", ref: "r", receipt: []byte("{}")})},
	{"answer", func(row []byte) ([]byte, error) {
		a, err := decodeAnswer(row)
		return appendAnswer(nil, &a), err
	}, appendAnswer(nil, &answer{at: 1764000000123, request: [32]byte{1}, body: []byte("{}")})},
	{"obligation", func(row []byte) ([]byte, error) {
		o, err := decodeObligation("ch_0123456789abcdef", row)
		return appendObligation(nil, &o), err
	}, appendObligation(nil, &Obligation{Amount: 5, Mode: Demo, Kind: CloseRemainder, Status: StatusOwed, CreatedAt: time.Unix(1764000000, 0)})},
	{"deposit", func(row []byte) ([]byte, error) {
		ch, err := decodeFunded(row)
		return appendFunded(nil, ch), err
	}, appendFunded(nil, "ch_0123456789abcdef")},
	{"count", func(row []byte) ([]byte, error) {
		n, err := decodeCount(row)
		return appendCount(nil, n), err
	}, appendCount(nil, 300)},
}

func rewriteEntries(row []byte) ([]byte, error) {
	e, err := decodeEntries(nil, 3, row)
	if len(e) == 2 {
		return appendWhole(nil, &e[0], &e[1]), err
	}
	return appendEntry(nil, &e[0]), err
}

func TestRowsSurviveARoundTrip(t *testing.T) {
	for _, k := range rowKinds {
		out, err := k.rewrite(k.sample)
		if err != nil || !bytes.Equal(out, k.sample) {
			t.Errorf("%s: %x comes back as %x, %v", k.name, k.sample, out, err)
		}
		for n := range k.sample {
			if out, err := k.rewrite(k.sample[:n]); err == nil && !bytes.Equal(out, k.sample[:n]) {
				t.Errorf("%s cut to %d bytes is accepted and changed", k.name, n)
			}
		}
		next := append([]byte{rowVersion + 1}, k.sample[1:]...)
		if _, err := k.rewrite(next); !errors.Is(err, errVersion) && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s of an unknown version: %v", k.name, err)
		}
	}
}

// TestChannelRowOfVersion1 pins the stored format: a hub must read its old books.
func TestChannelRowOfVersion1(t *testing.T) {
	row := []byte("\x01\x01\x01\x09\xc0\x96\xb1\x02\xc0\x8d\xb7\x01\xc0\x84\x3d\xc0\x84\x3d\x00\x07" +
		"\x80\x82\x92\xc9\x06\x80\xa5\x97\xc9\x06\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x04demo\x04USDT\x04base\x00\x07agent-1\x00\x00")
	if want := rowKinds[0].sample; !bytes.Equal(row, want) {
		t.Errorf("channel rows are now written as\n%q, were\n%q: raise the row version and keep reading this one", want, row)
	}
}

func FuzzRows(f *testing.F) {
	for n, k := range rowKinds {
		f.Add(byte(n), k.sample)
	}
	f.Fuzz(func(t *testing.T, kind byte, row []byte) {
		k := rowKinds[int(kind)%len(rowKinds)]
		out, err := k.rewrite(row)
		if err == nil && !bytes.Equal(out, row) {
			t.Fatalf("%s %x comes back as %x", k.name, row, out)
		}
	})
}

// TestTransitionTable: what each move needs, and that what it must not do leaves
// the channel as it was.
func TestTransitionTable(t *testing.T) {
	at := time.Unix(1764000000, 0)
	open := Channel{ID: "ch_0123456789abcdef", Status: StatusOpen, Deposit: 100, Balance: 60, Used: 10, Held: 30, Seq: 5}
	idle := Channel{ID: open.ID, Status: StatusOpen, Deposit: 100, Balance: 60, Used: 40, Seq: 5}
	done := Channel{ID: open.ID, Status: StatusSettled, Deposit: 100, Balance: 60, Used: 40, Seq: 5}
	for _, c := range []struct {
		name   string
		from   Channel
		move   move
		amount Money
		want   error
	}{
		{"open", Channel{ID: open.ID}, moveOpen, 100, nil},
		{"open twice", open, moveOpen, 100, ErrInvalid},
		{"hold before open", Channel{ID: open.ID}, moveHold, 1, ErrInvalid},
		{"hold all", open, moveHold, 60, nil},
		{"hold more", open, moveHold, 61, ErrInsufficient},
		{"hold negative", open, moveHold, -1, ErrInvalid},
		{"hold on settled", done, moveHold, 1, ErrChannelNotOpen},
		{"capture", open, moveCapture, 30, nil},
		{"capture more than held", open, moveCapture, 31, ErrCorrupt},
		{"capture on settled", done, moveCapture, 0, ErrChannelNotOpen},
		{"release", open, moveRelease, 30, nil},
		{"release more than held", open, moveRelease, 31, ErrCorrupt},
		{"reap", open, moveReap, 30, nil},
		{"lost", open, moveLost, 30, nil},
		{"debit", open, moveDebit, 60, nil},
		{"debit more", open, moveDebit, 61, ErrInsufficient},
		{"refund", open, moveRefund, 10, nil},
		{"refund more than used", open, moveRefund, 11, ErrCorrupt},
		{"settle with holds", open, moveSettle, 60, ErrPending},
		{"settle", idle, moveSettle, 60, nil},
		{"settle another remainder", idle, moveSettle, 59, ErrInvalid},
		{"settle twice", done, moveSettle, 60, ErrChannelNotOpen},
		{"expire", idle, moveExpire, 60, nil},
		{"pay out", done, movePaid, 60, nil},
		{"pay out less", done, movePaid, 59, ErrInvalid},
		{"pay out of open", idle, movePaid, 60, ErrInvalid},
		{"rekey", open, moveRekey, 0, nil},
		{"rekey settled", done, moveRekey, 0, ErrChannelNotOpen},
		{"no such move", open, 0, 0, ErrInvalid},
		{"no such move either", open, 200, 0, ErrInvalid},
	} {
		next, e, err := transition(c.from, event{c.move, c.amount, "ref", at})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil {
			if next != c.from {
				t.Errorf("%s: a refused move changed the channel", c.name)
			}
			continue
		}
		if next.Seq != c.from.Seq+1 || e.seq != next.Seq || e.from != rules[c.move].from || e.to != rules[c.move].to || e.amount != c.amount {
			t.Errorf("%s: entry %+v, channel %+v", c.name, e, next)
		}
		if (next.Status == StatusOpen) != next.ClosedAt.IsZero() && c.from.Status == StatusOpen {
			t.Errorf("%s: %s, closed at %s", c.name, next.Status, next.ClosedAt)
		}
	}
}
