package builtin

import (
	"maps"
	"slices"
	"testing"
)

func sortedUnitNames() []string { return sortedKeys(units) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Exact values from the definitions of the units.
func TestUnitDefinitions(t *testing.T) {
	for _, c := range []struct {
		from, to string
		x, want  float64
	}{
		{"yd", "m", 1, 0.9144}, {"nmi", "m", 1, 1852}, {"oz", "g", 16, 453.59237}, {"K", "°C", 0, -273.15},
		{"°F", "K", -459.67, 0}, {"ac", "m²", 1, 4046.8564224}, {"imperial gallon", "L", 1, 4.54609},
		{"mph", "km/h", 1, 1.609344}, {"kn", "km/h", 1, 1.852}, {"atm", "hPa", 1, 1013.25}, {"kWh", "MJ", 1, 3.6},
		{"GiB", "MiB", 1, 1024}, {"GB", "MB", 1, 1000}, {"Mbit/s", "MB/s", 8, 1}, {"week", "hours", 1, 168},
		{"turn", "deg", 1, 360}, {"fl oz", "mL", 1, 29.5735295625}, {"psi", "kPa", 1, 6.89475729316836},
		{"hp", "W", 1, 745.69987158227}, {"stone", "lb", 1, 14}, {"tsp", "tbsp", 3, 1}, {"bbl", "gal", 1, 42},
	} {
		if got := convert(c.x, units[c.from], units[c.to]); got != c.want {
			t.Errorf("%v %s: got %v %s, want %v", c.x, c.from, got, c.to, c.want)
		}
	}
}
