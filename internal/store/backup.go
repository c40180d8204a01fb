package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// partialSuffix marks a copy that is not complete. It gets its name when it is,
// so a folder with the asked-for name is always whole.
const partialSuffix = ".partial"

// Checkpoint writes a consistent copy of the database to dir while it is in use.
// dir must not exist or be empty. On the same file system the copy shares files
// with the original and costs almost no space at first. A failure here, such as a
// full disk, leaves the running database as it is.
func (db *DB) Checkpoint(dir string) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if err := db.Failed(); err != nil {
		return fmt.Errorf("store: back up to %s: %w", dir, err)
	}
	if db.fs.inside(dir) {
		return fmt.Errorf("store: back up to %s: that is inside the database folder; give another", dir)
	}
	return install(db.fs, dir, func(partial string) error {
		if db.readOnly { // nothing moves, and Pebble's own way needs files that only writers make
			return clone(db.fs, db.dir, partial)
		}
		return db.p.Checkpoint(partial, pebble.WithFlushedWAL())
	})
}

// Restore copies the checkpoint in from to dir, which must not exist or be empty,
// after it was verified. nil file system: the operating system's.
func Restore(from, dir string, files vfs.FS) error {
	if files == nil {
		files = vfs.Default
	}
	if _, err := Verify(from, Options{FS: files}); err != nil {
		return fmt.Errorf("store: restore to %s: %w", dir, err)
	}
	return install(files, dir, func(partial string) error {
		return clone(files, from, partial)
	})
}

// clone copies a database that nobody writes to.
func clone(files vfs.FS, from, to string) error {
	skip := vfs.CloneSkip(func(name string) bool { return files.PathBase(name) == "LOCK" })
	found, err := vfs.Clone(files, files, from, to, vfs.CloneSync, skip)
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	return err
}

// install lets fill make a folder beside dir and then gives it dir's name.
func install(files vfs.FS, dir string, fill func(partial string) error) error {
	dir = files.PathJoin(dir)
	switch names, err := files.List(dir); {
	case err == nil && len(names) > 0:
		return fmt.Errorf("%w: %s; give a new or empty folder", ErrExists, dir)
	case err == nil:
		if err := files.Remove(dir); err != nil {
			return fmt.Errorf("store: replace the empty folder %s: %w", dir, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store: look into %s: %w", dir, err)
	}
	partial := dir + partialSuffix
	if err := files.RemoveAll(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: remove the unfinished copy %s: %w", partial, err)
	}
	parent := files.PathDir(dir)
	err := files.MkdirAll(parent, 0o700)
	if err == nil {
		err = fill(partial)
	}
	if err == nil && vfs.Root(files) == vfs.Default {
		err = os.Chmod(partial, 0o700) // Pebble lets everybody read its copies
	}
	if err == nil {
		err = files.Rename(partial, dir)
	}
	if err == nil {
		err = syncDir(files, parent)
	}
	if err != nil {
		_ = files.RemoveAll(partial) // the next attempt removes what stays
		return fmt.Errorf("store: copy to %s: %w", dir, err)
	}
	return nil
}

func syncDir(files vfs.FS, dir string) error {
	d, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Report is what Verify found.
type Report struct {
	Schema uint32 // schema version
	Keys   int64  // keys outside ReservedPrefix
	Bytes  int64  // of these keys and their values
}

// Verify opens the stopped database or checkpoint in dir read-only, checks its
// schema and reads every key and value against its checksum.
func Verify(dir string, o Options) (Report, error) {
	o.ReadOnly = true
	db, err := Open(dir, o)
	if err != nil {
		return Report{}, err
	}
	r := Report{Schema: SchemaVersion}
	err = db.Scan(nil, nil, func(k, v []byte) (bool, error) {
		r.Keys++
		r.Bytes += int64(len(k) + len(v))
		return true, nil
	})
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err != nil && !strings.Contains(err.Error(), dir) {
		err = fmt.Errorf("store: verify %s: %w", dir, err)
	}
	return r, err
}
