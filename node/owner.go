package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// ownerRow names the key whose receipts and channels the database holds.
var ownerRow = []byte("node/public_key")

const ownerVersion = 1

// loadKey reads the hub's key, or makes one for a new folder. It refuses a key that
// is not the folder's own: peers and buyers pinned that one, and a key that is lost
// must not be replaced by silence.
func (n *Node) loadKey() error {
	owner, err := ownerOf(n.store)
	if err != nil {
		return err
	}
	if err := finishRotation(n.cfg.SigningKeyPath, owner); err != nil {
		return err
	}
	if _, err := os.Stat(n.cfg.SigningKeyPath); owner != "" && !n.cfg.AcceptNewKey && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the key file %s is missing: this folder belongs to the hub with the key %s; restore the file from a backup, "+
			"or if it is lost for good start once with --accept-new-key and become another hub to all who know this one", n.cfg.SigningKeyPath, owner)
	}
	key, created, err := identity.LoadOrCreate(n.cfg.SigningKeyPath, n.cfg.Rand)
	if err != nil {
		return err
	}
	n.key = key
	if created {
		n.cfg.Logger.Warn("made this hub's key: back it up, it is who this hub is", "file", n.cfg.SigningKeyPath, "public_key", key.PublicBase64())
	}
	switch public := key.PublicBase64(); {
	case owner == public:
		return nil
	case owner != "" && !n.cfg.AcceptNewKey:
		return fmt.Errorf("the key file %s holds %s, but this folder belongs to the hub with the key %s: give that key's file with --signing-key-path, "+
			"or start once with --accept-new-key to become another hub to all who know this one", n.cfg.SigningKeyPath, public, owner)
	default:
		b := n.store.NewBatch()
		b.Set(ownerRow, store.PutValue(ownerVersion, []byte(public)))
		if err := n.store.Write(b); err != nil {
			return fmt.Errorf("noting whose folder this is: %w", err)
		}
		return nil
	}
}

// ownerOf is the key the folder belongs to, "" if it is new.
func ownerOf(db *store.DB) (string, error) {
	row, err := db.Get(ownerRow)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading whose folder this is: %w", err)
	}
	version, public, err := store.SplitValue(row)
	if err != nil || version != ownerVersion {
		return "", fmt.Errorf("reading whose folder this is: version %d is not one this program knows: %w", version, err)
	}
	return string(public), nil
}
