package testnet

import (
	"math/rand/v2"
	"slices"
)

// Topology is who joins by whom. The mesh makes more connections by itself.
type Topology string

// The topologies.
const (
	Full   Topology = "full"   // every hub joins by all hubs before it
	Ring   Topology = "ring"   // by the one before it, and the last by the first as well
	Random Topology = "random" // by randomJoins hubs before it, drawn from Config.Seed
)

// randomJoins keeps a random network connected when single hubs fall out.
const randomJoins = 3

// joins lists the hubs that hub number joins by, all of them started before it.
func (t Topology) joins(number, nodes int, seed uint64) []int {
	before := number - 1
	switch t {
	case Ring:
		switch {
		case before == 0:
			return nil
		case number == nodes && nodes > 2:
			return []int{before, 1}
		}
		return []int{before}
	case Random:
		drawn := rand.New(rand.NewPCG(seed, uint64(number))).Perm(before)
		drawn = drawn[:min(randomJoins, before)]
		for i := range drawn {
			drawn[i]++
		}
		slices.Sort(drawn)
		return drawn
	}
	all := make([]int, before)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// neighbours lists the hubs that number joins by and those that join by it: by whom a
// hub that starts again can find back.
func (t Topology) neighbours(number, nodes int, seed uint64) []int {
	all := t.joins(number, nodes, seed)
	for other := number + 1; other <= nodes; other++ {
		if slices.Contains(t.joins(other, nodes, seed), number) {
			all = append(all, other)
		}
	}
	return all
}
