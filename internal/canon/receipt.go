package canon

import (
	"fmt"
	"slices"
	"strings"
)

var (
	receiptMembers = []string{"nonce", "product_id", "capability_id", "price_usd", "timestamp", "success", "latency_ms"}
	// receiptFields are the nine members that version 2 adds, sorted.
	receiptFields = []string{"category", "channel_id", "delivery_reasons", "plugin", "reason", "refunded", "trace_id", "type", "verify_score"}

	verdictMembers = []string{"nonce", "capability_id", "verdict", "verify_score", "trace_id", "timestamp"}
	// verdictFields are the eleven members that version 2 adds, sorted, and
	// verdictFields3 those of version 3.
	verdictFields = []string{"audit_score", "delivery_fulfils", "delivery_reasons", "mode", "performed", "reason", "settled",
		"status", "threshold", "verified", "verifier"}
	verdictFields3 = slices.Insert(slices.Clone(verdictFields), 0, appealMember)
)

const appealMember = "appeal"

// ReceiptVersion reads which canonical form a receipt's signature covers: 1 if
// "signature.version" is absent, else the JSON integer 1 or 2; anything else is
// unreadable (consumers notes §5). A receipt without a signature block, one still
// to be signed, gets the version it needs: 2 if one of the nine members of version
// 2 is present and not null, else 1.
func ReceiptVersion(doc Value) (int, error) {
	block := doc.Get(signatureMember)
	version := block.Get("version")
	switch {
	case !block.Exists():
		if anyNotNull(doc, receiptFields) {
			return 2, nil
		}
		return 1, nil
	case block.Kind() != Object:
		return 0, fmt.Errorf("canon: a receipt's signature must be an object, and this one is %s", block.Kind())
	case !version.Exists(), version.Token() == "1":
		return 1, nil
	case version.Token() == "2":
		return 2, nil
	}
	return 0, fmt.Errorf("canon: receipt signature version %s is not one this program can read (absent, 1 or 2)", clip(string(version.Raw())))
}

// anyNotNull tells whether doc has one of the members with a value other than
// null.
func anyNotNull(doc Value, members []string) bool {
	for _, name := range members {
		if v := doc.Get(name); v.Exists() && v.Kind() != Null {
			return true
		}
	}
	return false
}

// ReceiptMessage returns the signed bytes of a receipt, the version of its
// canonical form (see ReceiptVersion) and the names of the members that the
// signature leaves uncovered, sorted.
func ReceiptMessage(doc Value) (msg []byte, version int, uncovered []string, err error) {
	if version, err = ReceiptVersion(doc); err != nil {
		return nil, 0, nil, err
	}
	if msg, err = receiptMessage(doc, version, nil); err != nil {
		return nil, 0, nil, err
	}
	return msg, version, uncoveredMembers(doc, receiptCovered(version)), nil
}

// ReceiptMessages returns ReceiptMessage's bytes first, then those that a verifier
// may accept as well: with price_usd and latency_ms as their tokens stand, and in
// the other spelling of whole values (0.0 and 0), which clients change when they
// re-encode a receipt (consumers notes §6, federation notes §8 "Numbers").
func ReceiptMessages(doc Value) ([][]byte, error) {
	version, err := ReceiptVersion(doc)
	if err != nil {
		return nil, err
	}
	first, err := receiptMessage(doc, version, nil)
	if err != nil {
		return nil, err
	}
	all := [][]byte{first}
	for _, price := range spellings(doc.Get("price_usd")) {
		for _, latency := range spellings(doc.Get("latency_ms")) {
			msg, err := receiptMessage(doc, version, map[string]string{"price_usd": price, "latency_ms": latency})
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(all, func(o []byte) bool { return string(o) == string(msg) }) {
				all = append(all, msg)
			}
		}
	}
	return all, nil
}

// spellings lists the texts that a number member may have had when it was
// signed: Python's reprint first, then the token, then the other spelling of a
// whole value. An absent member is 0, and was so when it was signed.
func spellings(v Value) []string {
	token := v.Token()
	if token == "" {
		return []string{"0"}
	}
	python := string(appendPython(nil, token))
	all := []string{python}
	if token != python {
		all = append(all, token)
	}
	if whole, ok := strings.CutSuffix(python, ".0"); ok {
		if whole == "-0" {
			whole = "0"
		}
		all = append(all, whole)
	} else if strings.IndexAny(python, ".e") < 0 && len(strings.TrimPrefix(python, "-")) <= maxExactDigits {
		all = append(all, python+".0")
	}
	return all
}

// maxExactDigits is the length of integers that every double represents exactly
// and Python prints without exponent.
const maxExactDigits = 15

func receiptMessage(doc Value, version int, numbers map[string]string) ([]byte, error) {
	l := newLine("a receipt", doc)
	l.number = numbers
	l.text("nonce", "")
	l.text("product_id", "")
	l.text("capability_id", "")
	l.num("price_usd")
	l.text("timestamp", "")
	l.flag("success")
	l.num("latency_ms")
	if version == 2 {
		l.fields(2, receiptFields)
	}
	return l.done()
}

func receiptCovered(version int) []string {
	if version == 2 {
		return slices.Concat(receiptMembers, receiptFields)
	}
	return receiptMembers
}

// VerdictMessage is what a verification envelope's signature covers; an envelope
// with an "appeal" member signs it too, as version 3. Null members print as None,
// absent ones as nothing or 0.
func VerdictMessage(doc Value) ([]byte, error) {
	l := newLine("a verdict", doc)
	l.nullIsNone = true
	l.text("nonce", "")
	l.text("capability_id", "")
	l.text("verdict", "")
	l.num("verify_score")
	l.text("trace_id", "")
	l.text("timestamp", "")
	version, fields := verdictForm(doc)
	l.fields(version, fields)
	return l.done()
}

// verdictForm tells the version of an envelope's form and its digest's members.
func verdictForm(doc Value) (version int, fields []string) {
	if doc.Get(appealMember).Exists() {
		return 3, verdictFields3
	}
	return 2, verdictFields
}
