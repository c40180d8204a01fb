package crawl

import (
	"encoding/json"
	"time"

	"github.com/aimarket/aimarket/catalog"
)

// The outcomes of a hub in a cycle.
const (
	OutcomeIndexed   = "indexed"   // its manifest was read and taken
	OutcomeUnchanged = "unchanged" // its manifest, or its listing in the mesh, is still the one that was taken
	OutcomePending   = "pending"   // read, and without effect until it is admitted
	OutcomeRefused   = "refused"   // what it shows, or its address, breaks a rule
	OutcomeFailed    = "failed"    // it did not answer, or not with a document
	OutcomeSkipped   = "skipped"   // it was not asked, for the reason in Detail
)

// HubReport is what happened at one hub in a cycle.
type HubReport struct {
	URL        string            `json:"url"`
	Depth      int               `json:"depth"`
	Discoverer string            `json:"discoverer"`
	Status     string            `json:"status"`  // state of the peer afterwards, "" if it is none
	Outcome    string            `json:"outcome"` // an Outcome constant
	Detail     string            `json:"detail,omitempty"`
	Indexed    int               `json:"indexed"`   // rows that its manifest put into effect in this cycle
	Dropped    []catalog.Dropped `json:"-"`         // printed as dropped, see MarshalJSON
	NewPeers   int               `json:"new_peers"` // addresses that it was the first to name
	Duration   time.Duration     `json:"duration_ns"`
}

// droppedTool is a catalog.Dropped in the names of the protocol.
type droppedTool struct {
	ProductID    string `json:"product_id"`
	CapabilityID string `json:"capability_id"`
	Reason       string `json:"reason"`
}

// MarshalJSON prints the dropped tools with the protocol's names of their ids.
func (h HubReport) MarshalJSON() ([]byte, error) {
	type plain HubReport // without this method
	var dropped []droppedTool
	for _, d := range h.Dropped {
		dropped = append(dropped, droppedTool{d.ProductID, d.CapabilityID, d.Reason})
	}
	return json.Marshal(struct {
		plain
		Dropped []droppedTool `json:"dropped,omitempty"`
	}{plain(h), dropped})
}

// Report is one cycle. The first four members are the protocol's.
type Report struct {
	Discovered int           `json:"discovered"` // hubs whose discovery document was read
	Indexed    int           `json:"indexed"`    // rows that manifests put into effect in this cycle
	Errors     int           `json:"errors"`     // hubs that failed or were refused for what they showed
	PeersFound int           `json:"peers_found"`
	Truncated  bool          `json:"truncated"` // a bound ended the cycle early
	Hubs       []HubReport   `json:"hubs"`      // in the order in which they were found, at most MaxHubReports
	StartedAt  time.Time     `json:"started_at"`
	Duration   time.Duration `json:"duration_ns"`
}
