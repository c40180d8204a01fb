package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

const (
	maxShift = 1_000_000_000 // in any unit, either direction
	minYear  = 1
	maxYear  = 9999
)

func dateMath(_ context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	from, withTime := a.date("date")
	if a.err != nil {
		return nil, a.err
	}
	if in.Get("until").Kind() != canon.Invalid {
		until, _ := a.date("until")
		if a.err != nil {
			return nil, a.err
		}
		return dateResult(from, withTime, &until)
	}
	years := a.integer("years", 0, -maxYear, maxYear)
	months := a.integer("months", 0, -12*maxYear, 12*maxYear)
	days := a.integer("days", 0, -4e6, 4e6) + 7*a.integer("weeks", 0, -6e5, 6e5)
	var seconds int64
	for _, u := range []struct {
		name string
		in   int64
	}{{"hours", 3600}, {"minutes", 60}, {"seconds", 1}} {
		n := a.integer(u.name, 0, -maxShift, maxShift)
		withTime = withTime || n != 0
		seconds += n * u.in
	}
	if a.err != nil {
		return nil, a.err
	}
	to := addMonths(from, int(12*years+months)).AddDate(0, 0, int(days))
	to = time.Unix(to.Unix()+seconds, int64(to.Nanosecond())).In(from.Location())
	if y := to.Year(); y < minYear || y > maxYear {
		return nil, bad("", "leads to the year %d; dates go from %d to %d", y, minYear, maxYear)
	}
	return dateResult(to, withTime, nil)
}

// addMonths keeps the day of the month where it exists and otherwise takes the
// month's last day: January 31 and one month is February 28 or 29, as people
// and calendars expect, and not March 3.
func addMonths(t time.Time, n int) time.Time {
	if n == 0 {
		return t
	}
	y, m, d := t.Date()
	first := time.Date(y, m+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(d, last)-1)
}

// date reads a required date or timestamp; a date alone is its midnight in UTC.
func (a *args) date(field string) (t time.Time, withTime bool) {
	s := a.text(field, 64)
	if a.err != nil {
		return t, false
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil && t.Year() >= minYear {
		return t, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < minYear || t.Year() > maxYear {
		a.fail(field, "must be YYYY-MM-DD or an RFC 3339 timestamp such as 2024-05-01T12:30:00Z, not %q", s)
	}
	return t, true
}

func dateResult(t time.Time, withTime bool, until *time.Time) (json.RawMessage, error) {
	var o object
	if withTime {
		o.str("date", t.Format(time.RFC3339Nano))
	} else {
		o.str("date", t.Format(time.DateOnly))
	}
	o.str("weekday", t.Weekday().String())
	y, w := t.ISOWeek()
	o.str("iso_week", fmt.Sprintf("%04d-W%02d", y, w))
	o.int("day_of_year", t.YearDay())
	o.int("unix", int(t.Unix()))
	if until != nil {
		var d object
		seconds := until.Unix() - t.Unix()
		d.int("seconds", int(seconds))
		d.int("days", int(seconds/86400))
		years, months, days := calendarSpan(t, *until)
		d.int("years", years)
		d.int("months", months)
		d.int("remaining_days", days)
		o.key("difference")
		o.b = append(append(o.b, d.b...), '}')
	}
	return o.done()
}

// calendarSpan splits the way from a to b into whole years, whole months and
// days; all are negative if b is before a.
func calendarSpan(a, b time.Time) (years, months, days int) {
	sign := 1
	if b.Before(a) {
		a, b, sign = b, a, -1
	}
	b = b.In(a.Location())
	n := (b.Year()-a.Year())*12 + int(b.Month()) - int(a.Month())
	if addMonths(a, n).After(b) {
		n--
	}
	days = int((b.Unix() - addMonths(a, n).Unix()) / 86400)
	return sign * (n / 12), sign * (n % 12), sign * days
}
