package index

import (
	"runtime"
	"sync"
)

// Builder fills an index from many rows on several cores, for the start of a hub.
type Builder struct {
	options Options
	mu      sync.Mutex
	free    []*shard // not in use by an Add
	all     []*shard
	rows    int
	room    *sync.Cond
}

// shard is a core that one Add at a time writes to.
type shard struct {
	core   *core
	reader reader
}

// NewBuilder returns a builder of an empty index.
func NewBuilder(o Options) *Builder {
	if o.MaxRows <= 0 || o.MaxRows > MaxRows/2 {
		o.MaxRows = MaxRows / 2
	}
	b := &Builder{options: o}
	b.room = sync.NewCond(&b.mu)
	return b
}

// take returns a shard that nobody uses, a new one as long as there are cores for it.
func (b *Builder) take(rows int) (*shard, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows+rows > b.options.MaxRows {
		return nil, ErrFull
	}
	b.rows += rows
	for len(b.free) == 0 && len(b.all) >= runtime.GOMAXPROCS(0) {
		b.room.Wait()
	}
	if len(b.free) == 0 {
		s := &shard{core: newCore()}
		b.all = append(b.all, s)
		return s, nil
	}
	s := b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	return s, nil
}

func (b *Builder) give(s *shard) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, s)
	b.room.Signal()
}

// Add indexes rows. It may be called from several goroutines at a time and is
// fastest with some hundred rows per call. The rows are not kept. Keys must be
// distinct over the life of the builder; of rows with the same key one stays. ErrFull
// if the rows do not fit; none of them is in then.
func (b *Builder) Add(rows []Row) error {
	s, err := b.take(len(rows))
	if err != nil {
		return err
	}
	defer b.give(s)
	for i := range rows {
		r := &rows[i]
		if doc, kn, ok := s.core.find(r.Key); ok {
			s.core.kill(doc, kn)
		}
		s.core.add(r.Key, r.Numbers.clean(), s.reader.read(r, s.core, s.core.lex))
	}
	return nil
}

// Index returns the finished index. The builder must not be used after.
func (b *Builder) Index() (*Index, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	parts := make([]*core, len(b.all))
	for i, s := range b.all {
		parts[i] = s.core
	}
	b.all, b.free = nil, nil
	c := newCore()
	switch len(parts) {
	case 0:
	case 1:
		c = parts[0]
	default:
		c = merge(true, parts...)
	}
	x := newIndex(b.options, c)
	x.write.Lock()
	defer x.write.Unlock()
	x.compactIfDue()
	return x, nil
}
