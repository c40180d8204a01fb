package index

// Index is safe for concurrent use.
type Index struct{}

// New returns an empty index.
func New(o Options) *Index { panic("skeleton") }

// Put adds rows, or replaces those whose key is known. A row whose text did not
// change only gets its numbers updated. ErrFull if the rows do not fit; those
// before the one that did not fit are in.
func (x *Index) Put(rows ...Row) error { panic("skeleton") }

// Update sets the numbers of a row; false if the row is unknown.
func (x *Index) Update(k Key, n Numbers) bool { panic("skeleton") }

// Remove takes rows out and returns how many there were.
func (x *Index) Remove(keys ...Key) int { panic("skeleton") }

// RemoveHub takes out every row of a hub and returns how many there were.
func (x *Index) RemoveHub(hub string) int { panic("skeleton") }

// SetHub gives every row of a hub, present and future, these flags on top of its own.
// It costs the same however many rows the hub has.
func (x *Index) SetHub(hub string, f Flags) { panic("skeleton") }

// Search finds, filters, orders and pages.
func (x *Index) Search(q Query) Result { panic("skeleton") }

// Len is the number of live rows.
func (x *Index) Len() int { panic("skeleton") }

// Stats says how large the index is.
func (x *Index) Stats() Stats { panic("skeleton") }

// Builder fills an index from many rows on several cores, for the start of a hub.
type Builder struct{}

// NewBuilder returns a builder of an empty index.
func NewBuilder(o Options) *Builder { panic("skeleton") }

// Add indexes rows. It may be called from several goroutines at a time and is
// fastest with some hundred rows per call. The rows are not kept. A key that was
// added before is replaced, if the earlier call had returned.
func (b *Builder) Add(rows []Row) error { panic("skeleton") }

// Index returns the finished index. The builder must not be used after.
func (b *Builder) Index() (*Index, error) { panic("skeleton") }
