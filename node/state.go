package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

// A data folder and a backup have the same shape: the database folder and the
// key file beside it.
const keyFile = "hub_signing_key"

const databaseFolder = "db"

// Check reads every row of a stopped or crashed hub's folder against its checksum,
// verifies every money invariant and changes nothing.
func Check(ctx context.Context, dataDir string) (ledger.Report, error) {
	db, err := openReadOnly(dataDir)
	if err != nil {
		return ledger.Report{}, err
	}
	err = db.Scan(nil, nil, func(_, _ []byte) (bool, error) { return true, ctx.Err() })
	if err != nil {
		return ledger.Report{}, errors.Join(fmt.Errorf("reading %s: %w", dataDir, err), db.Close())
	}
	report, err := ledger.CheckStorage(ctx, ledger.NewPebbleStorage(db))
	return report, errors.Join(err, db.Close())
}

func openReadOnly(dataDir string) (*store.DB, error) {
	dir := filepath.Join(dataDir, databaseFolder)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no hub's data folder: there is no %s in it", dataDir, databaseFolder)
	}
	db, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dataDir, err)
	}
	return db, nil
}

// Backup writes a consistent copy of the running node's state to dir, which must
// not exist or be empty. dir appears only when the copy is whole.
func (n *Node) Backup(ctx context.Context, dir string) error {
	return backup(ctx, n.store, n.cfg.SigningKeyPath, dir)
}

// BackupStopped is Backup for a folder that no hub holds. key is the hub's key
// file; "" is the one in the folder.
func BackupStopped(ctx context.Context, dataDir, key, dir string) error {
	if key == "" {
		key = filepath.Join(dataDir, keyFile)
	}
	db, err := openReadOnly(dataDir)
	if err != nil {
		return err
	}
	return errors.Join(backup(ctx, db, key, dir), db.Close())
}

func backup(ctx context.Context, db *store.DB, key, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	owner, err := ownerOf(db)
	if err != nil {
		return err
	}
	switch public, err := publicOf(key); {
	case err != nil:
		return err
	case owner != "" && public != owner:
		return fmt.Errorf("the key file %s holds %s, but this folder belongs to the hub with the key %s: give that key's file with --signing-key-path, "+
			"or, if the key was being changed, start the hub once", key, public, owner)
	}
	return installDir(dir, func(partial string) error {
		if err := db.Checkpoint(filepath.Join(partial, databaseFolder)); err != nil {
			return err
		}
		return copyKey(key, filepath.Join(partial, keyFile))
	})
}

// Restore copies a backup into dataDir, which must not exist or be empty, if its
// key can be read and every invariant holds in it.
func Restore(ctx context.Context, from, dataDir string) (ledger.Report, error) {
	report, err := Check(ctx, from)
	if err != nil {
		return report, err
	}
	if n := len(report.Violations); n > 0 {
		return report, fmt.Errorf("backup %s breaks %d invariants (first: %d, %s: %s): choose another", from, n,
			report.Violations[0].Invariant, report.Violations[0].Subject, report.Violations[0].Detail)
	}
	if _, err := publicOf(filepath.Join(from, keyFile)); err != nil {
		return report, fmt.Errorf("backup %s: %w", from, err)
	}
	return report, installDir(dataDir, func(partial string) error {
		if err := store.Restore(filepath.Join(from, databaseFolder), filepath.Join(partial, databaseFolder), nil); err != nil {
			return err
		}
		return copyKey(filepath.Join(from, keyFile), filepath.Join(partial, keyFile))
	})
}

// installDir lets fill make a folder beside dir, then gives it dir's name. A crash
// on the way leaves dir.partial, which the next attempt removes.
func installDir(dir string, fill func(partial string) error) error {
	dir = filepath.Clean(dir)
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%s is not empty: name a new folder, nothing is overwritten", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("removing an unfinished copy: %w", err)
	}
	err = makeFolder(vfs.Default, filepath.Dir(dir))
	if err == nil {
		err = os.Mkdir(partial, 0o700)
	}
	if err == nil {
		err = fill(partial)
	}
	if err == nil { // a rename replaces no folder everywhere
		err = ignore(os.Remove(dir), fs.ErrNotExist)
	}
	if err == nil {
		err = os.Rename(partial, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	return syncDir(filepath.Dir(dir))
}

// publicOf reads the public half of a key file, in standard base64, and makes none.
func publicOf(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("reading the hub's key: %w", err)
	}
	key, _, err := identity.LoadOrCreate(path, rand.Reader)
	if err != nil {
		return "", err
	}
	return key.PublicBase64(), nil
}

func copyKey(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copying the hub's key: %w", err)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copying the hub's key: %w", err)
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("copying the hub's key: %w", err)
	}
	return syncDir(filepath.Dir(to))
}

// makeFolder makes dir and what is missing above it, and syncs the names: a power
// cut must not take a folder whose files are on disk.
func makeFolder(files vfs.FS, dir string) error {
	dir = filepath.Clean(dir)
	var parents []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := files.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		parents = append(parents, filepath.Dir(d))
	}
	if err := files.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, p := range parents {
		d, err := files.OpenDir(p)
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
