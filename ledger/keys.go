package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
)

// The ledger's key ranges. Keys within a channel's range start with its id, which
// has a fixed length, so what follows needs no escaping.
const (
	rangeAll        = "ledger/"
	rangeChannel    = "ledger/channel/"    // <channel>
	rangeJournal    = "ledger/journal/"    // <channel>/<seq, 8 bytes>
	rangeHeld       = "ledger/held/"       // <channel>/<receipt id>
	rangeSpent      = "ledger/spent/"      // <channel>/<receipt id>
	rangeExpiry     = "ledger/expiry/"     // <seconds, 8 bytes><channel>: open channels by age
	rangeObligation = "ledger/obligation/" // <channel>
	rangeDeposit    = "ledger/deposit/"    // <SHA-256 of what may be credited once>
	rangeReceipt    = "ledger/receipt/"    // <period, 4 bytes><nonce>
	rangeAnswer     = "ledger/answer/"     // <day, 4 bytes><scope>
	rangeFree       = "ledger/free/"       // <owner>: receipts that cost nothing, counted
	keyDropped      = "ledger/dropped"     // receipts of earlier periods may be gone
)

// Receipts and answers are stored by the period of their time, so that what is
// past its life is one run of keys and costs the paid call no index row.
const (
	receiptPeriod = 30 * 24 * 60 * 60 // seconds
	answerPeriod  = 24 * 60 * 60      // seconds
)

func appendChannelKey(b []byte, id string) []byte {
	return append(append(b, rangeChannel...), id...)
}

// appendOfChannel is the prefix of a channel's keys in a range.
func appendOfChannel(b []byte, keyRange, id string) []byte {
	b = append(append(b, keyRange...), id...)
	return append(b, '/')
}

func appendJournalKey(b []byte, id string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(appendOfChannel(b, rangeJournal, id), seq)
}

func appendHeldKey(b []byte, id, ref string) []byte {
	return append(appendOfChannel(b, rangeHeld, id), ref...)
}

func appendSpentKey(b []byte, id, ref string) []byte {
	return append(appendOfChannel(b, rangeSpent, id), ref...)
}

func appendExpiryKey(b []byte, at time.Time, id string) []byte {
	b = binary.BigEndian.AppendUint64(append(b, rangeExpiry...), uint64(at.Unix()))
	return append(b, id...)
}

func appendObligationKey(b []byte, id string) []byte {
	return append(append(b, rangeObligation...), id...)
}

func appendPeriodKey(b []byte, keyRange string, period uint32, name string) []byte {
	b = binary.BigEndian.AppendUint32(append(b, keyRange...), period)
	return append(b, name...)
}

func receiptPeriodOf(ms int64) uint32 { return uint32(ms / 1000 / receiptPeriod) }
func answerPeriodOf(ms int64) uint32  { return uint32(ms / 1000 / answerPeriod) }

// depositKey is the key of one thing that may be credited once: payments contract
// §5, sha256(lower(chain)+"|"+canonical tx).
func depositKey(chain, tx string) []byte {
	h := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(chain)) + "|" + canonicalTx(tx)))
	return append([]byte(rangeDeposit), h[:]...)
}

// splitOfChannel takes the channel and the rest out of a key of a channel's range.
func splitOfChannel(keyRange string, key []byte) (id, rest string, ok bool) {
	s := string(key)
	if !strings.HasPrefix(s, keyRange) || len(s) < len(keyRange)+channelIDLen+1 {
		return "", "", false
	}
	s = s[len(keyRange):]
	id, rest = s[:channelIDLen], s[channelIDLen+1:]
	return id, rest, validChannelID(id) && s[channelIDLen] == '/'
}
