package identity

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// seeded is a source of known randomness: the test seed.
func seeded(t testing.TB) *bytes.Reader { return bytes.NewReader(unhex(t, testSeed)) }

func TestKeyFileIsMadeOnceAndReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "hub.key")
	key, created, err := LoadOrCreate(path, seeded(t))
	if err != nil || !created || key.PublicBase64() != testPublic {
		t.Fatalf("made %v, %v, %v", key, created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	raw, err := os.ReadFile(path)
	pub := key.Public()
	if want := append(unhex(t, testSeed), pub[:]...); err != nil || !bytes.Equal(raw, want) {
		t.Errorf("the file is not seed and public key: %v", err)
	}
	again, created, err := LoadOrCreate(path, rand.Reader)
	if err != nil || created || again.PublicBase64() != testPublic {
		t.Errorf("read back %v, %v, %v", again, created, err)
	}
	if left := others(t, path); len(left) > 0 {
		t.Errorf("left beside it: %v", left)
	}
}

// others lists what lies beside the key file.
func others(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestSeedFileIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.key")
	if err := os.WriteFile(path, unhex(t, testSeed), 0o600); err != nil {
		t.Fatal(err)
	}
	key, created, err := LoadOrCreate(path, rand.Reader)
	if err != nil || created || key.PublicBase64() != testPublic {
		t.Errorf("%v, %v, %v", key, created, err)
	}
}

func TestDamagedKeyFilesAreRefused(t *testing.T) {
	pub := testKey(t).Public()
	whole := append(unhex(t, testSeed), pub[:]...)
	mixed := bytes.Clone(whole)
	mixed[63] ^= 1
	for name, raw := range map[string][]byte{
		"empty": {}, "half": whole[:40], "long": append(bytes.Clone(whole), '\n'), "hex text": []byte(testSeed + "\n"), "halves of two keys": mixed,
		"wiped": make([]byte, 64),
	} {
		path := filepath.Join(t.TempDir(), "hub.key")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		key, created, err := LoadOrCreate(path, rand.Reader)
		if err == nil || key != nil || created {
			t.Errorf("%s: %v, %v", name, key, created)
			continue
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%s: %q names no file or no way out", name, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, raw) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestExposedKeyFileIsRefused(t *testing.T) {
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o604, 0o660, 0o601} {
		path := filepath.Join(t.TempDir(), "hub.key")
		if _, _, err := LoadOrCreate(path, seeded(t)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := LoadOrCreate(path, rand.Reader); !errors.Is(err, ErrExposed) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// TestCreationHasOneWinner: many starts at once agree on one key, and the losers'
// drafts are gone.
func TestCreationHasOneWinner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.key")
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		keys  = map[string]bool{}
		makes int
	)
	for range 16 {
		wg.Go(func() {
			key, created, err := LoadOrCreate(path, rand.Reader)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			keys[key.PublicBase64()] = true
			if created {
				makes++
			}
		})
	}
	wg.Wait()
	if len(keys) != 1 || makes != 1 {
		t.Errorf("%d keys, made %d times", len(keys), makes)
	}
	if left := others(t, path); len(left) > 0 {
		t.Errorf("left beside it: %v", left)
	}
}

// TestNothingIsLeftOfAFailedCreation: no file appears when randomness or the folder
// fails.
func TestNothingIsLeftOfAFailedCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.key")
	if _, created, err := LoadOrCreate(path, bytes.NewReader(make([]byte, 31))); err == nil || created {
		t.Error("31 random bytes are enough")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file appeared: %v", err)
	}
	blocked := filepath.Join(path, "hub.key") // its folder will be a file
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, created, err := LoadOrCreate(blocked, rand.Reader); err == nil || created {
		t.Error("a key was made inside a file")
	}
}
