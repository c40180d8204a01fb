package ledger

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"
)

// Mode says what backs the money.
type Mode string

// The money modes. A chain mode joins them with the escrow: any other name, with a
// Config.Deposits that verifies deposits.
const (
	Demo Mode = "demo" // credit from nothing; everything says so
	Off  Mode = "off"  // every call is free, there are no channels
)

// Status of a channel.
type Status string

// The states of a channel; all but StatusOpen are final.
const (
	StatusOpen    Status = "open"
	StatusSettled Status = "settled"
	StatusExpired Status = "expired"
)

// Channel is a buyer's prepaid account at this hub.
//
// Deposit = Balance + Used + Held, always (invariant 1). When it ends, Balance
// stays as the record of what was left over, which the obligation then owes.
type Channel struct {
	ID                                     string // ch_ + 16 hex
	Status                                 Status
	Mode                                   Mode
	Deposit, Balance, Used, Held, Refunded Money
	Calls                                  int64 // captured calls
	Token, Chain, Wallet, TxHash           string
	OwnerKey                               string // base64 Ed25519 the opener named for recovery, or ""
	OpenedAt, ExpiresAt, ClosedAt          time.Time
	SettleTxHash                           string
	Seq                                    uint64 // last journal entry; the version for optimistic commits
}

// account is a channel with what only the ledger may see.
type account struct {
	Channel
	secretHash [sha256.Size]byte
	recovered  int64 // signed Unix time of the last recovery; a later one must be newer
	proven     bool  // Wallet proved that it paid
}

// channelIDLen is len("ch_") + 16 hex digits.
const channelIDLen = 19

// validChannelID keeps malformed ids away from keys and locks.
func validChannelID(id string) bool {
	if len(id) != channelIDLen || id[:3] != "ch_" {
		return false
	}
	for i := 3; i < len(id); i++ {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func hashSecret(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// secretMatches compares in constant time; an empty secret never matches.
func (a *account) secretMatches(secret string) bool {
	h := hashSecret(secret)
	return subtle.ConstantTimeCompare(h[:], a.secretHash[:]) == 1 && secret != ""
}

// payable says whether new spending may start: the sweep that marks a channel
// expired may come later than its expiry.
func (c *Channel) payable(now time.Time) bool {
	return c.Status == StatusOpen && now.Before(c.ExpiresAt)
}

// isEVM reports a 42-character 0x address.
func isEVM(wallet string) bool {
	return len(wallet) == 42 && wallet[0] == '0' && (wallet[1] == 'x' || wallet[1] == 'X') && isHex(wallet[2:])
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return len(s) > 0
}

// canonicalWallet folds the case of EVM addresses, whose case is a checksum, and
// of nothing else (payments contract §3).
func canonicalWallet(wallet string) string {
	if isEVM(wallet) {
		return strings.ToLower(wallet)
	}
	return wallet
}

func sameWallet(a, b string) bool { return canonicalWallet(a) == canonicalWallet(b) }

// isTx reports a well-formed EVM transaction hash.
func isTx(tx string) bool {
	return len(tx) == 66 && tx[0] == '0' && (tx[1] == 'x' || tx[1] == 'X') && isHex(tx[2:])
}
