package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// wallet remembers the channel this user opened at each hub, so that a call
// needs no secret on the command line, where other users could see it.
type wallet struct {
	path     string
	Channels map[string]walletChannel `json:"channels"` // by hub URL
}

type walletChannel struct {
	ID     string `json:"channel_id"`
	Secret string `json:"channel_secret"`
}

// openWallet reads the file at AIMARKET_WALLET, else in the user's configuration folder.
func openWallet() (*wallet, error) {
	path := os.Getenv("AIMARKET_WALLET")
	if path == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("finding a place for the wallet: %w; name a file in AIMARKET_WALLET", err)
		}
		path = filepath.Join(dir, "aimarket", "wallet.json")
	}
	w := &wallet{path: path, Channels: map[string]walletChannel{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the wallet: %w", err)
	}
	if err := json.Unmarshal(raw, w); err != nil {
		return nil, fmt.Errorf("reading the wallet %s: %w; repair it or move it away", path, err)
	}
	if w.Channels == nil {
		w.Channels = map[string]walletChannel{}
	}
	return w, nil
}

// save writes a new file and moves it into place: a crash keeps the old one.
func (w *wallet) save() error {
	raw, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(w.path), 0o700); err != nil {
		return fmt.Errorf("saving the wallet: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(w.path), ".wallet-*") // mode 0600
	if err != nil {
		return fmt.Errorf("saving the wallet: %w", err)
	}
	_, err = f.Write(append(raw, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), w.path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("saving the wallet: %w", err)
	}
	return nil
}
