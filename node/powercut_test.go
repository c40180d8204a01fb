package node

import (
	"flag"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/httpapi/client"
)

var crashSeed = flag.Uint64("seed", 0, "seed of the crash tests; 0: a new one")

func seeded() (*rand.Rand, uint64) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	return rand.New(rand.NewPCG(seed, 0)), seed
}

func fork(rng *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(rng.Uint64(), 0)) }

// powerCut is a file system in memory. At the write or sync that is left steps
// ahead, once armed, it keeps what a power cut would leave, and goes on.
type powerCut struct {
	*vfs.MemFS
	survives vfs.CrashCloneCfg
	before   func() // called just before
	armed    atomic.Bool
	steps    atomic.Int64
	written  atomic.Int64 // steps seen since it was armed
	once     sync.Once
	fired    atomic.Bool
	left     *vfs.MemFS
}

func newPowerCut(steps int, survives vfs.CrashCloneCfg) *powerCut {
	p := &powerCut{MemFS: vfs.NewCrashableMem(), survives: survives}
	p.steps.Store(int64(steps))
	return p
}

func (p *powerCut) done() bool { return p.fired.Load() }

func (p *powerCut) fire() {
	p.once.Do(func() {
		p.before()
		p.left = p.CrashClone(p.survives)
		p.fired.Store(true)
	})
}

func (p *powerCut) step() {
	if p.armed.Load() && !p.done() {
		p.written.Add(1)
		if p.steps.Add(-1) == 0 {
			p.fire()
		}
	}
}

func (p *powerCut) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &cutFile{File: f, p: p}, nil
}

func (p *powerCut) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	p.step()
	return p.wrap(p.MemFS.Create(name, c))
}

func (p *powerCut) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	p.step()
	return p.wrap(p.MemFS.ReuseForWrite(from, to, c))
}

type cutFile struct {
	vfs.File
	p *powerCut
}

func (f *cutFile) Write(b []byte) (int, error) {
	f.p.step()
	return f.File.Write(b)
}

func (f *cutFile) Sync() error {
	f.p.step()
	err := f.File.Sync()
	f.p.step()
	return err
}

func (f *cutFile) SyncData() error {
	f.p.step()
	err := f.File.SyncData()
	f.p.step()
	return err
}

// callBook knows which calls began and which were answered when the power went.
type callBook struct {
	mu       sync.Mutex
	frozen   bool
	asked    []string
	answered map[string][]byte
}

func (b *callBook) began(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.frozen {
		b.asked = append(b.asked, id)
	}
}

// answer notes what a buyer has; what came after the cut never reached it.
func (b *callBook) answer(id string, raw []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.frozen {
		b.answered[id] = raw
	}
}

func (b *callBook) freeze() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frozen = true
}

// verify starts a hub on what the cut left and holds it to the promise.
func (b *callBook) verify(t *testing.T, files vfs.FS, dir string, channels []client.Channel, steps int64) {
	t.Helper()
	checkFiles(t, files, dir)
	c := testConfig(dir)
	c.files = files
	h := start(t, c)
	defer h.mustStop()
	const price = 1000
	used := func() (n int) {
		for _, ch := range channels {
			got, err := h.client.Channel(t.Context(), ch.ID)
			if err != nil {
				t.Fatal(err)
			}
			f, err := strconv.ParseFloat(got.Used.String(), 64)
			if err != nil {
				t.Fatal(err)
			}
			n += int(f*1e6+0.5) / price
		}
		return n
	}
	if n := used(); n < len(b.answered) || n > len(b.asked) {
		t.Errorf("%d calls billed of %d answered and %d asked", n, len(b.answered), len(b.asked))
	}
	channelOf := func(id string) client.Channel {
		buyer, _, _ := strings.Cut(id, "-")
		i, err := strconv.Atoi(buyer)
		if err != nil {
			t.Fatal(err)
		}
		return channels[i]
	}
	after := maps.Clone(b.answered)
	for _, id := range b.asked {
		o, err := h.invoke(channelOf(id), "aimarket.text", "echo@v1", id)
		if err != nil {
			t.Fatalf("repeating %s: %v", id, err)
		}
		if first, was := b.answered[id]; was && string(first) != string(o.Raw.Raw) {
			t.Errorf("%s was answered %s, then %s", id, first, o.Raw.Raw)
		}
		after[id] = o.Raw.Raw
	}
	if n := used(); n != len(after) {
		t.Errorf("%d calls billed for %d answers", n, len(after))
	}
	t.Logf("%d asked, %d answered at step %d", len(b.asked), len(b.answered), steps)
}
