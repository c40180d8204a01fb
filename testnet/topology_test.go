package testnet

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestJoins(t *testing.T) {
	for _, c := range []struct {
		topology Topology
		number   int
		want     []int
	}{
		{Full, 1, []int{}},
		{Full, 4, []int{1, 2, 3}},
		{Ring, 1, nil},
		{Ring, 2, []int{1}},
		{Ring, 4, []int{3}},
		{Ring, 5, []int{4, 1}},
		{Random, 1, []int{}},
		{Random, 3, []int{1, 2}},
	} {
		if got := c.topology.joins(c.number, 5, 1); !slices.Equal(got, c.want) {
			t.Errorf("%s, hub %d of 5 joins by %v, want %v", c.topology, c.number, got, c.want)
		}
	}
	if got := Ring.joins(2, 2, 1); !slices.Equal(got, []int{1}) {
		t.Errorf("a ring of two: %v", got)
	}
}

// Whatever the topology, a hub joins by hubs that started before it, nobody is left
// out, and neighbours are neighbours both ways.
func TestTopologyConnects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topology := rapid.SampledFrom([]Topology{Full, Ring, Random}).Draw(t, "topology")
		nodes := rapid.IntRange(1, 40).Draw(t, "nodes")
		seed := rapid.Uint64().Draw(t, "seed")
		for number := 1; number <= nodes; number++ {
			joins := topology.joins(number, nodes, seed)
			if number > 1 && len(joins) == 0 {
				t.Fatalf("hub %d joins by nobody", number)
			}
			if slices.ContainsFunc(joins, func(o int) bool { return o < 1 || o >= number }) {
				t.Fatalf("hub %d joins by %v", number, joins)
			}
			if !slices.Equal(joins, topology.joins(number, nodes, seed)) {
				t.Fatal("the same seed gives another network")
			}
			for _, o := range topology.neighbours(number, nodes, seed) {
				if !slices.Contains(topology.neighbours(o, nodes, seed), number) {
					t.Fatalf("%d is a neighbour of %d, but not the other way round", o, number)
				}
			}
		}
	})
}
