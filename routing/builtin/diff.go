package builtin

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

const (
	maxDiffText  = 128 << 10 // bytes, each side
	maxDiffLines = 5000      // each side
	// maxDiffEdits bounds the edits that are searched for a shortest script; time
	// and memory grow with its square. Texts that differ more are shown as one
	// replacement, and say so.
	maxDiffEdits = 1000
)

// edit is one line of a script: ' ' kept, '-' removed, '+' added.
type edit struct {
	op   byte
	line string
}

func diff(ctx context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	before := splitLines(a.text("before", maxDiffText))
	after := splitLines(a.text("after", maxDiffText))
	around := int(a.integer("context", 3, 0, 100))
	if n := max(len(before), len(after)); n > maxDiffLines {
		a.fail("", "has %d lines on one side; at most %d are allowed", n, maxDiffLines)
	}
	if a.err != nil {
		return nil, a.err
	}
	script, minimal, err := compare(ctx, before, after)
	if err != nil {
		return nil, err
	}
	var added, removed, kept int
	for _, e := range script {
		switch e.op {
		case '+':
			added++
		case '-':
			removed++
		default:
			kept++
		}
	}
	var o object
	o.bool("equal", added+removed == 0)
	o.str("diff", unified(script, around))
	o.int("added", added)
	o.int("removed", removed)
	o.int("unchanged", kept)
	o.bool("minimal", minimal)
	return o.done()
}

// splitLines keeps the line ends, so that a missing last one is a difference.
func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.SplitAfter(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// compare finds a shortest edit script by Myers' greedy algorithm (1986) after
// setting the common beginning and end aside.
func compare(ctx context.Context, a, b []string) (script []edit, minimal bool, err error) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	for _, l := range a[:head] {
		script = append(script, edit{' ', l})
	}
	middle, minimal, err := shortest(ctx, a[head:len(a)-tail], b[head:len(b)-tail])
	if err != nil {
		return nil, false, err
	}
	script = append(script, middle...)
	for _, l := range a[len(a)-tail:] {
		script = append(script, edit{' ', l})
	}
	return script, minimal, nil
}

func shortest(ctx context.Context, a, b []string) ([]edit, bool, error) {
	n, m := len(a), len(b)
	limit := min(n+m, maxDiffEdits)
	v := make([]int32, 2*limit+3)
	at := func(k int) *int32 { return &v[k+limit+1] }
	var trace [][]int32 // the frontier before each round, only its used part
	for d := 0; d <= limit; d++ {
		if err := stopped(ctx); err != nil {
			return nil, false, err
		}
		trace = append(trace, append([]int32(nil), v[limit+1-d:limit+2+d]...))
		for k := -d; k <= d; k += 2 {
			var x int
			if k == -d || k != d && *at(k - 1) < *at(k + 1) {
				x = int(*at(k + 1))
			} else {
				x = int(*at(k - 1)) + 1
			}
			for x < n && x-k < m && x-k >= 0 && a[x] == b[x-k] {
				x++
			}
			*at(k) = int32(x)
			if x >= n && x-k >= m {
				return walkBack(a, b, trace, d), true, nil
			}
		}
	}
	var script []edit
	for _, l := range a {
		script = append(script, edit{'-', l})
	}
	for _, l := range b {
		script = append(script, edit{'+', l})
	}
	return script, false, nil
}

// walkBack follows the frontiers from the end to the beginning.
func walkBack(a, b []string, trace [][]int32, d int) []edit {
	x, y := len(a), len(b)
	var rev []edit
	for ; d > 0; d-- {
		prev := func(k int) int { return int(trace[d][k+d]) }
		k := x - y
		down := k == -d || k != d && prev(k-1) < prev(k+1)
		from := k - 1
		if down {
			from = k + 1
		}
		px := prev(from)
		py := px - from
		for x > px && y > py && (down && y > py+1 || !down && x > px+1) {
			x, y = x-1, y-1
			rev = append(rev, edit{' ', a[x]})
		}
		if down {
			y--
			rev = append(rev, edit{'+', b[y]})
		} else {
			x--
			rev = append(rev, edit{'-', a[x]})
		}
	}
	for x > 0 {
		x--
		rev = append(rev, edit{' ', a[x]})
	}
	for i, j := 0, len(rev)-1; i < j; i, j = i+1, j-1 {
		rev[i], rev[j] = rev[j], rev[i]
	}
	return rev
}

// unified prints a script with some lines of context around each change.
func unified(script []edit, around int) string {
	var b strings.Builder
	lineA, lineB := 1, 1
	for i := 0; i < len(script); {
		if script[i].op == ' ' {
			lineA, lineB, i = lineA+1, lineB+1, i+1
			continue
		}
		start := i
		for start > 0 && i-start < around && script[start-1].op == ' ' {
			start--
		}
		end, quiet := i, 0
		for j := i; j < len(script) && quiet <= 2*around; j++ {
			if script[j].op == ' ' {
				quiet++
			} else {
				quiet, end = 0, j+1
			}
		}
		stop := end
		for stop < len(script) && stop-end < around {
			stop++
		}
		var body strings.Builder
		countA, countB := 0, 0
		for _, e := range script[start:stop] {
			if e.op != '+' {
				countA++
			}
			if e.op != '-' {
				countB++
			}
			body.WriteByte(e.op)
			body.WriteString(e.line)
			if !strings.HasSuffix(e.line, "\n") {
				body.WriteString("\n\\ No newline at end of file\n")
			}
		}
		fromA, fromB := lineA-(i-start), lineB-(i-start)
		b.WriteString("@@ -" + hunk(fromA, countA) + " +" + hunk(fromB, countB) + " @@\n")
		b.WriteString(body.String())
		lineA, lineB, i = fromA+countA, fromB+countB, stop
	}
	return b.String()
}

func hunk(from, count int) string {
	if count == 0 {
		from--
	}
	if count == 1 {
		return strconv.Itoa(from)
	}
	return strconv.Itoa(from) + "," + strconv.Itoa(count)
}
