package corpus

import (
	"strings"
	"testing"

	"github.com/aimarket/aimarket/catalog/index"
	"github.com/google/go-cmp/cmp"
)

func TestSameSeedSameMarket(t *testing.T) {
	a, b, other := New(1, 3000), New(1, 3000), New(2, 3000)
	same := 0
	keys := map[index.Key]bool{}
	for i := range a.Rows() {
		r := a.Row(i)
		if diff := cmp.Diff(r, b.Row(i)); diff != "" {
			t.Fatal(diff)
		}
		if cmp.Equal(r, other.Row(i)) {
			same++
		}
		keys[r.Key] = true
		if text, ok := a.Text(r.Key); !ok || text.Description != r.Description {
			t.Fatalf("text of row %d: %v %v", i, text, ok)
		}
	}
	if len(keys) != a.Rows() || same > 0 {
		t.Errorf("%d keys of %d rows, %d rows as with another seed", len(keys), a.Rows(), same)
	}
	if diff := cmp.Diff(a.Queries(50), b.Queries(50)); diff != "" {
		t.Error(diff)
	}
}

// The load is only worth something if its words are as unevenly spread as in text.
func TestWordsFollowZipf(t *testing.T) {
	c := New(1, 3000)
	rows := map[string]int{}
	for i := range c.Rows() {
		seen := map[string]bool{}
		for _, w := range strings.Fields(strings.ToLower(c.Row(i).Description)) {
			if !seen[w] {
				seen[w] = true
				rows[w]++
			}
		}
	}
	once := 0
	for _, n := range rows {
		if n == 1 {
			once++
		}
	}
	if common := rows["text"]; common < c.Rows()/5 || once < len(rows)/4 {
		t.Errorf("the most frequent word is in %d of %d rows, %d of %d words are in one row", common, c.Rows(), once, len(rows))
	}
}

func TestTextOfNobody(t *testing.T) {
	if _, ok := New(1, 10).Text(index.Key{ProductID: "nobody"}); ok {
		t.Error("found")
	}
}
