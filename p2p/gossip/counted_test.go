package gossip

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// counts prints every counter that is not zero.
func (m *Mesh) counts() string {
	var b strings.Builder
	c := m.count
	for i, v := range []*prometheus.CounterVec{c.messages, c.bounds, c.published, c.pulls, c.syncs, c.repairs, c.blames, c.mesh, c.bytes} {
		ch := make(chan prometheus.Metric, 1024)
		v.Collect(ch)
		close(ch)
		for m := range ch {
			var d dto.Metric
			if err := m.Write(&d); err != nil {
				panic(err)
			}
			fmt.Fprint(&b, []string{"messages", "bounds", "published", "pulls", "syncs", "repairs", "blames", "mesh", "bytes"}[i])
			for _, l := range d.Label {
				fmt.Fprint(&b, "/", l.GetValue())
			}
			fmt.Fprintf(&b, "=%v ", d.Counter.GetValue())
		}
	}
	return b.String()
}

// counted sums the counters of a vector that carry a label value; all of them for "".
func counted(v *prometheus.CounterVec, label string) (sum float64) {
	ch := make(chan prometheus.Metric, 1024)
	v.Collect(ch)
	close(ch)
	for m := range ch {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			panic(err)
		}
		if label == "" || slices.ContainsFunc(d.Label, func(l *dto.LabelPair) bool { return l.GetValue() == label }) {
			sum += d.Counter.GetValue()
		}
	}
	return sum
}
