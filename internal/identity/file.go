package identity

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrExposed reports a key file that others than its owner can read.
var ErrExposed = errors.New("identity: the key file is readable to others")

// keyFileBytes is the reference hub's format: the seed, then the public key.
const keyFileBytes = ed25519.SeedSize + ed25519.PublicKeySize

// LoadOrCreate reads the key file at path or makes one (mode 0600) from random.
// created tells that it was made now and wants a backup.
func LoadOrCreate(path string, random io.Reader) (key *Key, created bool, err error) {
	key, err = load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, false, fmt.Errorf("identity: drawing a key: %w", err)
	}
	if key, err = FromSeed(seed); err != nil {
		return nil, false, err
	}
	switch err := save(path, key); {
	case errors.Is(err, fs.ErrExist): // another process was first: its key counts
		key, err = load(path)
		return key, false, err
	case err != nil:
		return nil, false, err
	}
	return key, true, nil
}

func load(path string) (*Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("identity: reading the key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: chmod 600 %s", ErrExposed, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("identity: reading the key file: %w", err)
	}
	if len(raw) != keyFileBytes && len(raw) != ed25519.SeedSize {
		return nil, fmt.Errorf("identity: key file %s has %d bytes, not %d (seed and public key) or %d (seed): restore it from a backup",
			path, len(raw), keyFileBytes, ed25519.SeedSize)
	}
	key, err := FromSeed(raw[:ed25519.SeedSize])
	if err != nil {
		return nil, err
	}
	if public := raw[ed25519.SeedSize:]; len(public) > 0 && !bytes.Equal(public, key.private()[ed25519.SeedSize:]) {
		return nil, fmt.Errorf("identity: key file %s is damaged: its two halves do not belong together; restore it from a backup", path)
	}
	return key, nil
}

// save writes beside path and links the whole file into place, so that a crash
// leaves no half key and a race overwrites none.
func save(path string, key *Key) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("identity: making a place for the key file: %w", err)
	}
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("identity: writing the key file: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(key.private())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("identity: writing the key file: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil {
		return fmt.Errorf("identity: writing the key file: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("identity: syncing the key file's folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
