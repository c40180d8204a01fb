package builtin

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

const (
	maxCSV        = 256 << 10 // bytes
	maxCSVColumns = 500
)

func csvToJSON(ctx context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	text := a.text("csv", maxCSV)
	delimiter := a.option("delimiter", ",", ";", "\t", "|")
	header := a.flag("header", true)
	if a.err != nil {
		return nil, a.err
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	r.Comma = rune(delimiter[0])
	r.ReuseRecord = true
	var columns []string
	rows := []byte{'['}
	count := 0
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bad("csv", "is not valid: %v", err)
		}
		if len(rec) > maxCSVColumns {
			return nil, bad("csv", "has %d columns; at most %d are allowed", len(rec), maxCSVColumns)
		}
		if header && columns == nil {
			columns = append(columns, rec...)
			seen := map[string]bool{}
			for _, c := range columns {
				if seen[c] {
					return nil, bad("csv", "names the column %q twice; rename one or send header false", c)
				}
				seen[c] = true
			}
			continue
		}
		if count > 0 {
			rows = append(rows, ',')
		}
		count++
		if header {
			var o object
			for i, c := range columns {
				o.str(c, rec[i])
			}
			rows = append(append(rows, o.b...), '}')
		} else {
			rows = appendStrings(rows, rec)
		}
		if len(rows) > MaxOutput {
			return nil, bad("csv", "would give more than %d bytes of JSON; send fewer rows at a time", MaxOutput)
		}
	}
	var o object
	o.key("columns")
	o.b = appendStrings(o.b, columns)
	o.key("rows")
	o.b = append(append(o.b, rows...), ']')
	o.int("count", count)
	return o.done()
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = canon.AppendString(b, s)
	}
	return append(b, ']')
}
