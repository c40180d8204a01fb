package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// successionRow holds the former key's word for the one that took its place.
var successionRow = []byte("node/succession")

const successionVersion = 1

// nextKey is the end of the name of a key file that is to become the hub's.
const nextKey = ".next"

// Rotation is a change of a hub's key.
type Rotation struct {
	Former, Next string // public keys, standard base64
	FormerFile   string // where the former key file is now
}

// RotateKey gives the stopped hub of a data folder another key, for which the former one
// vouches: hubs of the mesh that know the former key follow it (catalog.Succession). key
// is the hub's key file; "" is the one in the folder. Whatever moment a crash interrupts,
// the folder belongs to the former key or to the next one, and the next start or rotation
// finishes what was begun.
func RotateKey(ctx context.Context, dataDir, key string) (r Rotation, err error) {
	if err := ctx.Err(); err != nil {
		return r, err
	}
	if key == "" {
		key = filepath.Join(dataDir, keyFile)
	}
	dir := filepath.Join(dataDir, databaseFolder)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%s is no hub's data folder: there is no %s in it", dataDir, databaseFolder)
	}
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		return r, fmt.Errorf("opening the data folder %s: %w", dataDir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	owner, err := ownerOf(db)
	if err != nil {
		return r, err
	}
	if err := finishRotation(key, owner); err != nil {
		return r, err
	}
	if _, err := os.Stat(key); err != nil {
		return r, fmt.Errorf("reading the hub's key: %w", err)
	}
	former, _, err := identity.LoadOrCreate(key, rand.Reader)
	if err != nil {
		return r, err
	}
	if former.PublicBase64() != owner {
		return r, fmt.Errorf("the key file %s holds %s, but this folder belongs to the hub with the key %s: give that key's file with --signing-key-path",
			key, former.PublicBase64(), owner)
	}
	next, _, err := identity.LoadOrCreate(key+nextKey, rand.Reader) // one that an interrupted rotation left will do
	if err != nil {
		return r, err
	}
	r = Rotation{Former: owner, Next: next.PublicBase64(), FormerFile: formerName(key, former)}
	word := former.SignBase64(catalog.SuccessionMessage(r.Former, r.Next))
	b := db.NewBatch()
	defer b.Close()
	b.Set(ownerRow, store.PutValue(ownerVersion, []byte(r.Next)))
	b.Set(successionRow, store.PutValue(successionVersion, []byte(strings.Join([]string{r.Former, r.Next, word}, "\n"))))
	if err := db.Write(b); err != nil {
		return r, fmt.Errorf("noting whose folder this is: %w", err)
	}
	return r, finishRotation(key, r.Next)
}

// finishRotation puts the next key's file in place if the folder belongs to that key
// already.
func finishRotation(key, owner string) error {
	if _, err := os.Stat(key + nextKey); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	next, _, err := identity.LoadOrCreate(key+nextKey, rand.Reader)
	if err != nil {
		return err
	}
	if next.PublicBase64() != owner {
		return nil // the rotation was not decided
	}
	if _, err := os.Stat(key); err == nil {
		former, _, err := identity.LoadOrCreate(key, rand.Reader)
		if err != nil {
			return err
		}
		if former.PublicBase64() != owner {
			if err := ignore(os.Link(key, formerName(key, former)), fs.ErrExist); err != nil {
				return fmt.Errorf("keeping the former key: %w", err)
			}
		}
	}
	if err := os.Rename(key+nextKey, key); err != nil {
		return fmt.Errorf("putting the next key in place: %w", err)
	}
	return syncDir(filepath.Dir(key))
}

// formerName is where a key file goes that is the hub's no more.
func formerName(key string, former *identity.Key) string {
	pub := former.Public()
	return key + ".former-" + hex.EncodeToString(pub[:4])
}

// succession is the word by which this hub's key took the place of another one; nil if
// it did not.
func (n *Node) succession() (*catalog.Succession, error) {
	row, err := n.store.Get(successionRow)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading this key's succession: %w", err)
	}
	version, value, err := store.SplitValue(row)
	parts := strings.Split(string(value), "\n")
	if err != nil || version != successionVersion || len(parts) != 3 {
		return nil, fmt.Errorf("reading this key's succession: version %d is not one this program knows: %w", version, err)
	}
	if parts[1] != n.key.PublicBase64() { // the folder was given to another key since
		return nil, nil
	}
	return &catalog.Succession{PublicKey: parts[0], Signature: parts[2]}, nil
}
