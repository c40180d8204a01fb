package index

// merge makes one core of the live rows of several, in their order. Of rows with the
// same key the last one stays. The parts may still be read, but not written; unless
// they are used up, which frees their postings as it goes.
func merge(useUp bool, parts ...*core) *core {
	out := newCore()
	maps := make([][]uint32, len(parts))
	for n, p := range parts {
		maps[n] = out.takeRows(p)
	}
	if len(parts) > 1 {
		maps = out.dropShadowed(parts, maps)
	}
	sizes, termMaps := out.takeTerms(parts, maps)
	for n, p := range parts {
		for t := range p.terms {
			to := termMaps[n][t]
			if to == noDoc {
				continue
			}
			posts := out.terms[to].posts
			if posts == nil {
				posts = make([]uint32, 0, sizes[to])
				out.postings += sizes[to]
			}
			for _, q := range p.terms[t].posts {
				if doc := maps[n][q>>docShift]; doc != noDoc {
					posts = append(posts, doc<<docShift|q&weightMask)
				}
			}
			out.terms[to].posts = posts
			if useUp {
				p.terms[t].posts = nil
			}
		}
	}
	out.takeWords(parts, termMaps)
	out.takeCategories(parts, maps)
	return out
}

// takeRows appends the columns of p's live rows and returns where each row went.
func (c *core) takeRows(p *core) []uint32 {
	to := make([]uint32, p.rows)
	for h, f := range p.hubFlags {
		if f != 0 {
			c.hubFlags[c.hubNumber(p.hubs.list[h])] |= f
		}
	}
	products := newRenumbering(&p.products, &c.products)
	capabilities := newRenumbering(&p.capabilities, &c.capabilities)
	hubs := newRenumbering(&p.hubs, &c.hubs)
	for doc := range uint32(p.rows) {
		from, i := p.blocks[doc>>blockShift], doc&blockMask
		if from.isDead(i) {
			to[doc] = noDoc
			continue
		}
		id := p.idents[doc>>blockShift]
		kn := keyNumbers{products.of(id.product[i]), capabilities.of(id.capability[i]), hubs.of(from.hub[i])}
		for len(c.hubFlags) < len(c.hubs.list) {
			c.hubFlags = append(c.hubFlags, 0)
		}
		to[doc] = c.takeRow(from, id, i, kn)
	}
	for _, doc := range p.opaque {
		if to[doc] != noDoc {
			c.opaque = append(c.opaque, to[doc])
		}
	}
	return to
}

func (c *core) takeRow(from *block, fromID *ident, i uint32, kn keyNumbers) uint32 {
	if old, ok := c.keys[kn]; ok {
		c.kill(old, kn)
	}
	doc := uint32(c.rows)
	j := doc & blockMask
	if j == 0 {
		c.blocks = append(c.blocks, new(block))
		c.idents = append(c.idents, new(ident))
	}
	b, id := c.blocks[doc>>blockShift], c.idents[doc>>blockShift]
	b.trust[j], b.price[j], b.quality[j] = from.trust[i], from.price[i], from.quality[i]
	b.latency[j], b.flags[j], b.hub[j] = from.latency[i], from.flags[i], kn.hub
	id.product[j], id.capability[j], id.text[j] = kn.product, kn.capability, fromID.text[i]
	id.nextProduct[j] = chain(&c.lastProduct, kn.product, doc)
	id.nextCapability[j] = chain(&c.lastCapability, kn.capability, doc)
	c.keys[kn] = doc
	c.rows++
	return doc
}

// renumbering takes names over when they are first used.
type renumbering struct {
	from, to *names
	known    []uint32
}

func newRenumbering(from, to *names) renumbering {
	r := renumbering{from, to, make([]uint32, len(from.list))}
	for i := range r.known {
		r.known[i] = noDoc
	}
	return r
}

func (r *renumbering) of(n uint32) uint32 {
	if r.known[n] == noDoc {
		r.known[n] = r.to.id(r.from.list[n])
	}
	return r.known[n]
}

// dropShadowed makes sure that rows replaced by a later part get no postings.
func (c *core) dropShadowed(parts []*core, maps [][]uint32) [][]uint32 {
	if c.dead == 0 {
		return maps
	}
	for n := range parts {
		for i, doc := range maps[n] {
			if doc != noDoc && c.blocks[doc>>blockShift].isDead(doc&blockMask) {
				maps[n][i] = noDoc
			}
		}
	}
	return maps
}

// takeTerms takes over the terms that have live postings, and counts these.
func (c *core) takeTerms(parts []*core, maps [][]uint32) (sizes []int, termMaps [][]uint32) {
	sizes = make([]int, len(c.terms))
	for n, p := range parts {
		termMap := make([]uint32, len(p.terms))
		for t := range p.terms {
			live := 0
			for _, q := range p.terms[t].posts {
				if maps[n][q>>docShift] != noDoc {
					live++
				}
			}
			if live == 0 {
				termMap[t] = noDoc
				continue
			}
			to := c.term(p.terms[t].text)
			if int(to) == len(sizes) {
				sizes = append(sizes, 0)
			}
			sizes[to] += live
			c.terms[to].synthetic = c.terms[to].synthetic || p.terms[t].synthetic
			termMap[t] = to
		}
		termMaps = append(termMaps, termMap)
	}
	return sizes, termMaps
}

// takeWords takes over the words of the terms that were taken over.
func (c *core) takeWords(parts []*core, termMaps [][]uint32) {
	for n, p := range parts {
		for _, w := range p.words {
			t := termMaps[n][w.term]
			if t == noDoc || c.dict[w.text]&1 != 0 {
				continue
			}
			c.dict[w.text] = t<<1 | 1
			c.addWord(wordInfo{w.text, t})
		}
	}
}
