package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	noContext  = context.Background()
	discardLog = slog.New(slog.DiscardHandler)
)

// errFrozen is what Pebble's own background work sees after a failure.
var errFrozen = errors.New("store: the folder is left as the failed write found it")

const (
	// A process that ran out of file descriptors gets them back when calls end,
	// so that alone waits this often and long before it counts as a failure.
	noFilesTries = 100
	noFilesPause = 50 * time.Millisecond
	// frozenPause slows the flush that Pebble repeats without a pause of its own.
	frozenPause = 100 * time.Millisecond
)

// failFS passes everything to the file system below until the first change
// inside dir fails. It then reports the failure and changes nothing in dir any
// more: what is on disk stays what a crash at that moment would leave, so no
// later step that took the failed one for done (deleting a log, say) can lose
// what was durable.
//
// Pebble panics, holding its locks, when its write-ahead log cannot be written.
// So it never learns: operations on the log and on directories pretend to
// succeed, and [Commit.Wait] looks at the failure before it believes them.
// Everything else in dir returns errFrozen, except while the database opens: then
// Pebble repeats a flush until it succeeds, so everything pretends to, Pebble's
// Open returns, and ours refuses.
type failFS struct {
	vfs.FS
	dir     string
	frozen  atomic.Bool
	pretend atomic.Bool
	fail    func(op string, cause error)
	onSync  func(time.Duration)
}

func newFailFS(base vfs.FS, dir string, fail func(string, error), onSync func(time.Duration)) *failFS {
	if onSync == nil {
		onSync = func(time.Duration) {}
	}
	f := &failFS{FS: base, dir: base.PathJoin(dir), fail: fail, onSync: onSync}
	f.pretend.Store(true)
	return f
}

// inside reports whether name is the database folder or in it. A failure outside,
// such as a full backup disk, is the caller's and does not stop the database.
func (f *failFS) inside(name string) bool {
	name = f.FS.PathJoin(name)
	rest, ok := strings.CutPrefix(name, f.dir)
	return ok && (rest == "" || os.IsPathSeparator(rest[0]) || strings.HasSuffix(f.dir, "/"))
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// change runs one change of name, or refuses it if the folder is frozen, and
// freezes the folder if it fails.
func (f *failFS) change(op, name string, do func() error) error {
	if !f.inside(name) {
		return do()
	}
	if f.frozen.Load() {
		return errFrozen
	}
	err := do()
	for try := 0; outOfFiles(err) && try < noFilesTries; try++ {
		time.Sleep(noFilesPause)
		err = do()
	}
	if err == nil {
		return nil
	}
	f.freeze(op, name, err)
	return err
}

func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func (f *failFS) freeze(op, name string, err error) {
	f.fail(op+" "+f.FS.PathBase(name), err) // first, so that nobody sees success
	f.frozen.Store(true)
}

// open runs one operation that hands out a file to write to.
func (f *failFS) open(op, name string, do func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := f.change(op, name, func() (err error) { file, err = do(); return err })
	switch {
	case err == nil && f.inside(name):
		return &failFile{File: file, fs: f, name: name, quiet: isLog(name), log: isLog(name)}, nil
	case err == nil:
		return file, nil
	case f.inside(name) && (isLog(name) || f.pretend.Load()):
		return &failFile{File: vfs.NewMemFile(nil), fs: f, name: name, quiet: true, log: isLog(name)}, nil
	case f.inside(name):
		time.Sleep(frozenPause)
	}
	return nil, err
}

func (f *failFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("create", name, func() (vfs.File, error) {
		// A marker's name says which manifest is current. Pebble syncs both names
		// together; a crash could keep the marker and lose the manifest.
		if strings.HasPrefix(f.FS.PathBase(name), "marker.") {
			if err := syncDir(f.FS, f.FS.PathDir(name)); err != nil {
				return nil, err
			}
		}
		return f.FS.Create(name, c)
	})
}

func (f *failFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.open("open", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

func (f *failFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("reuse", to, func() (vfs.File, error) { return f.FS.ReuseForWrite(from, to, c) })
}

func (f *failFS) OpenDir(name string) (vfs.File, error) {
	d, err := f.FS.OpenDir(name)
	if err != nil || !f.inside(name) {
		return d, err
	}
	return &failFile{File: d, fs: f, name: name, quiet: true}, nil
}

func (f *failFS) Rename(from, to string) error {
	return f.name("rename", to, func() error { return f.FS.Rename(from, to) })
}

func (f *failFS) Link(from, to string) error {
	return f.name("link", to, func() error { return f.FS.Link(from, to) })
}

func (f *failFS) MkdirAll(dir string, perm os.FileMode) error {
	return f.name("make folder", dir, func() error { return f.FS.MkdirAll(dir, perm) })
}

func (f *failFS) name(op, name string, do func() error) error {
	err := f.change(op, name, do)
	if err != nil && f.pretend.Load() && f.inside(name) {
		return nil
	}
	return err
}

// Remove never counts as a failure: a file left behind loses nothing.
func (f *failFS) Remove(name string) error {
	if f.frozen.Load() && f.inside(name) {
		return errFrozen
	}
	return f.FS.Remove(name)
}

func (f *failFS) RemoveAll(name string) error {
	if f.frozen.Load() && f.inside(name) {
		return errFrozen
	}
	return f.FS.RemoveAll(name)
}

func (f *failFS) Unwrap() vfs.FS { return f.FS }

// failFile is a file or directory in the database's folder. quiet ones pretend
// to succeed once the folder is frozen.
type failFile struct {
	vfs.File
	fs    *failFS
	name  string
	quiet bool
	log   bool
}

func (f *failFile) change(op string, do func() error) error {
	err := f.fs.change(op, f.name, do)
	if err != nil && (f.quiet || f.fs.pretend.Load()) {
		return nil
	}
	return err
}

func (f *failFile) Write(p []byte) (n int, err error) {
	n = len(p)
	err = f.change("write", func() (err error) { n, err = f.File.Write(p); return err })
	if err == nil {
		n = len(p)
	}
	return n, err
}

func (f *failFile) WriteAt(p []byte, off int64) (n int, err error) {
	n = len(p)
	err = f.change("write", func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	if err == nil {
		n = len(p)
	}
	return n, err
}

// Preallocate is advice: a file system that cannot is no failure.
func (f *failFile) Preallocate(off, length int64) error {
	if f.fs.frozen.Load() {
		return nil
	}
	return f.File.Preallocate(off, length)
}

func (f *failFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *failFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *failFile) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

func (f *failFile) sync(do func() error) error {
	if !f.log {
		return f.change("sync", do)
	}
	start := time.Now()
	err := f.change("sync", do)
	f.fs.onSync(time.Since(start))
	return err
}

func (f *failFile) Close() error {
	err := f.File.Close()
	if err != nil && !errors.Is(err, os.ErrClosed) && !f.fs.frozen.Load() {
		f.fs.freeze("close", f.name, err) // some file systems report lost writes here
	}
	if f.quiet {
		return nil
	}
	return err
}
